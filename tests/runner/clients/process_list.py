"""Looks for every secret of its run in the list of processes, where all users of the machine can look."""

import os
import subprocess
from pathlib import Path

from party import check

secrets = {
    "the request token": os.environ["RUNMINT_REQUEST_TOKEN"],
    "Vault's token": os.environ["VAULT_TOKEN"],
    "the token for AWS": Path(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text(),
    "the manual token": os.environ["TFC_WORKLOAD_IDENTITY_TOKEN"],
}
processes = subprocess.run(["ps", "axww"], check=True, capture_output=True, text=True).stdout
check(" exec " in processes and "process_list.py" in processes, "the list does not show this run")
for name, secret in secrets.items():
    check(len(secret) > 20, f"{name} is none")
    check(secret not in processes, f"the process list shows {name}")
    check(secret.split(".")[0] not in processes, f"the process list shows a part of {name}")
