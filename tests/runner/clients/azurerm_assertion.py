"""Asks for an assertion as azurerm does, by ARM_OIDC_REQUEST_URL, and lets azure-identity use it."""

import json
import os
import urllib.parse
import urllib.request

from azure.identity import ClientAssertionCredential
from party import jti, taken

assertions = []


def assertion():
    url = urllib.parse.urlsplit(os.environ["ARM_OIDC_REQUEST_URL"])
    query = urllib.parse.parse_qs(url.query)
    query.setdefault("audience", ["api://AzureADTokenExchange"])
    request = urllib.request.Request(
        url._replace(query=urllib.parse.urlencode(query, doseq=True)).geturl(),
        headers={
            "Accept": "application/json",
            "Authorization": f"Bearer {os.environ['ARM_OIDC_REQUEST_TOKEN']}",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assertions.append(json.load(answer)["value"])
    return assertions[-1]


assert os.environ["ARM_USE_OIDC"] == "true"
for _ in range(2):
    ClientAssertionCredential(os.environ["ARM_TENANT_ID"], os.environ["ARM_CLIENT_ID"], assertion).get_token(
        "https://management.azure.com/.default"
    )
# It renews by asking again.
asked = [jti(token) for token in assertions]
assert len(set(asked)) == 2, asked
assert [entry["jti"] for entry in taken("entra", "client assertion")[-2:]] == asked
print("a token")
