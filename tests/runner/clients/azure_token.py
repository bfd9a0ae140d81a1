"""azure-identity: a token by workload identity. With `--renewed`, once more with a renewed file.

A credential keeps what it has read from the file for ten minutes, so the second is another credential:
shorter lives than that are for tests.
"""

import os
import sys

from azure.identity import WorkloadIdentityCredential
from party import used_again_after_renewal


def access_token():
    return WorkloadIdentityCredential().get_token("https://management.azure.com/.default").token


print("a token" if access_token() else "nothing")
if "--renewed" in sys.argv:
    token_file = os.environ["AZURE_FEDERATED_TOKEN_FILE"]
    used_again_after_renewal(access_token, token_file, "entra", "client assertion")
