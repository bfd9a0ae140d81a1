"""Others that mint signed tokens over HTTP, as far as the registries have them, beside runmint on
the same machine: a client with a secret gets an RS256 JWT. With one connection, and with many."""

import json
import os
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bench import POSTGRES, SQLITE, Bench, connections_of, running
from callers import add_client, minting
from figures import Failed, Figure
from glewlwyd import Glewlwyd
from limit import signatures_per_second
from load import Request, warmed, write_requests
from processes import Process, free_port
from servers import Postgres, Server, exchange

GROUP = "Others: client to RS256 JWT"
CONNECTIONS = (1, 64)


class Peer(Protocol):
    """A server that is asked for tokens."""

    name: str
    note: str
    port: int
    url: str
    request: Request
    process: Process

    def stop(self) -> None: ...


class OidcProvider:
    """npm's oidc-provider: one process, or one for each core."""

    def __init__(self, folder: Path, log: Path, processes: int) -> None:
        self.name = f"oidc-provider, {processes} process{'es' if processes > 1 else ''}"
        self.note = ("client_credentials for a resource of its own, access tokens as RS256 JWTs; "
                     "everything in memory, no record of the tokens; by its defaults otherwise")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        secret = secrets.token_hex(16)
        self.request = Request("/token", body="grant_type=client_credentials&scope=workload")
        self.request = self.request.with_basic("bench", secret)
        environment = os.environ | {"NODE_ENV": "production"}
        self.process = Process(
            ["node", str(folder / "server.mjs"), str(self.port), str(processes), secret], log,
            env=environment)
        self.process.wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return exchange(self.port, "GET", "/jwks")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.stop()


class Runmint:
    """runmint, asked in the same way: by a client with its secret."""

    def __init__(self, server: Server, store: str) -> None:
        self.name = f"runmint, {store}"
        self.note = "POST /v1/tokens; each token on record, durably"
        self.port, self.url, self.process = server.port, server.url, server.process
        self.request = minting(add_client(server), 1)
        self.stop = server.stop


def measure(bench: Bench, postgres: Postgres) -> None:
    cores = os.cpu_count() or 1
    node = bench.target / "bench" / "oidc-provider"
    makers: dict[str, Callable[[], Peer]] = {
        "runmint on SQLite": lambda: Runmint(bench.server(SQLITE, "RS256", postgres), SQLITE),
        "runmint on Postgres": lambda: Runmint(bench.server(POSTGRES, "RS256", postgres), POSTGRES),
        "oidc-provider": lambda: OidcProvider(node, bench.new_path("oidc-provider.log"), 1),
        "oidc-provider on all cores":
            lambda: OidcProvider(node, bench.new_path("oidc-provider.log"), cores),
        "glewlwyd": lambda: Glewlwyd(bench.new_path("glewlwyd")),
    }
    for name, make in makers.items():
        with bench.part(f"Others: {name}"), running(make()) as peer:
            of_peer(bench, peer)


def of_peer(bench: Bench, peer: Peer) -> None:
    mints(peer)
    requests = write_requests(bench.new_path("peer"), [peer.request])
    limit = signatures_per_second("RS256", bench.limit_seconds)
    for connections in CONNECTIONS:
        rate = warmed(peer.url, requests, connections, bench.seconds)
        name = f"{peer.name}, {connections_of(connections)}"
        bench.results.add(Figure(GROUP, name, rate.per_second, "tokens/s",
                                 ratio=rate.per_second / limit, to="openssl", note=peer.note))
        bench.results.add(Figure(GROUP, f"{name}, p99", rate.p99_ms, "ms"))
    bench.results.add(Figure(GROUP, f"{peer.name}, memory", peer.process.rss_mb_of_tree(), "MB"))


def mints(peer: Peer) -> None:
    """That it is asked for the same: a JWT that RS256 has signed."""
    headers = {"Authorization": peer.request.authorization,
               "Content-Type": peer.request.content_type}
    status, _, body = exchange(peer.port, "POST", peer.request.path, peer.request.body.encode(),
                               headers)
    if status >= 300:
        raise Failed(f"{peer.name} answered {status}: {body[:300]!r}")
    told = json.loads(body)
    token: str = told["access_token"] if "access_token" in told else told["tokens"][0]["token"]
    header = token.split(".", 1)[0]
    if json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"] != "RS256":
        raise Failed(f"{peer.name} signs otherwise: {header}")
