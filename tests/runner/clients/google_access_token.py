"""google-auth with an access token that somebody else has fetched, from the object variable."""

import json
import os

from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

backed = json.loads(os.environ["TF_VAR_tfc_vault_backed_gcp_dynamic_credentials"])["default"]
session = AuthorizedSession(Credentials(backed["access_token"]))
answer = session.get("https://storage.googleapis.com/storage/v1/b", params={"project": "acme"})
answer.raise_for_status()
print(*(bucket["name"] for bucket in answer.json()["items"]))
