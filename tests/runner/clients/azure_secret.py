"""azure-identity with the id and the secret that Vault handed out, from the files of the object variable."""

import json
import os
from pathlib import Path

from azure.identity import ClientSecretCredential

files = json.loads(os.environ["TF_VAR_tfc_vault_backed_azure_dynamic_credentials"])["default"]
credential = ClientSecretCredential(
    os.environ["ARM_TENANT_ID"],
    Path(files["client_id_file_path"]).read_text(),
    Path(files["client_secret_file_path"]).read_text(),
)
print("a token" if credential.get_token("https://management.azure.com/.default").token else "nothing")
