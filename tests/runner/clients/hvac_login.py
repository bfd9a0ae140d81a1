"""hvac logs in itself, with the token that TFC_WORKLOAD_IDENTITY_AUDIENCE has asked for."""

import os

import hvac

client = hvac.Client(url=os.environ["TEST_VAULT"], namespace="acme")
client.auth.jwt.jwt_login(role=os.environ["TEST_VAULT_ROLE"], jwt=os.environ["TFC_WORKLOAD_IDENTITY_TOKEN"])
client.auth.token.lookup_self()
print("logged in")
