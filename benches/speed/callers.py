"""Those who ask for tokens: clients, and the runs that they open."""

import json
from typing import Any

from load import Request
from servers import Server

AUDIENCE = "aws.workload.identity"
# What is asked for at once, where it is several.
AUDIENCES = [AUDIENCE, "api://AzureADTokenExchange", "gcp.workload.identity", "vault.example.com",
             "kubernetes.example.com", "registry.example.com", "artifacts.example.com",
             "secrets.example.com"]


def grant() -> dict[str, Any]:
    return {"organization": "acme", "audiences": AUDIENCES}


def workload(number: int) -> dict[str, Any]:
    """Names as they are given; a run for each."""
    return {"organization": "acme", "project": "Default Project",
            "workspace": f"network-{number:05d}", "run_phase": "plan"}


def add_client(server: Server, name: str = "bench") -> str:
    """Its secret."""
    added = server.operate("POST", "/v1/clients", {"name": name, "grants": [grant()]})
    return str(added["secret"])


def open_runs(server: Server, secret: str, count: int) -> list[Request]:
    """Runs, each asking for its token in GitHub's form."""
    requests = []
    for number in range(count):
        body = workload(number) | {"audiences": [AUDIENCE], "expires_in": 6 * 24 * 3600}
        run = server.call("POST", "/v1/runs", body, secret)
        path = run["request_url"].split("/", 3)[3]
        requests.append(Request(f"/{path}&audience={AUDIENCE}", run["request_token"],
                                subject=run["subject"]))
    return requests


def minting(secret: str, audiences: int, number: int = 0) -> Request:
    """A client that mints directly."""
    body = workload(number) | {"audiences": AUDIENCES[:audiences]}
    return Request("/v1/tokens", secret, json.dumps(body, separators=(",", ":")))
