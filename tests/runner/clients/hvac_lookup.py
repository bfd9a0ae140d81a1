"""hvac with the token of the environment: looks itself up. With `--renewed`, until the token has been
renewed and is older than its first life."""

import os
import sys
import time

import hvac
from party import check, taken, wait_until

client = hvac.Client(namespace=os.environ["VAULT_NAMESPACE"])
ttl = client.auth.token.lookup_self()["data"]["ttl"]
print("a live token" if ttl > 0 else "a dead one")
if "--renewed" in sys.argv:
    start = time.monotonic()
    renewals = len(taken("vault", "renew-self"))
    wait_until(lambda: time.monotonic() > start + ttl, "time stands still")
    client.auth.token.lookup_self()
    check(len(taken("vault", "renew-self")) > renewals, "nobody has renewed the token")
