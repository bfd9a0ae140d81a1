"""Clouds for the runner's tests: AWS STS, Google, Entra, Vault and a Kubernetes API server, each on a
port of 127.0.0.1, each verifying tokens by what the issuer publishes.

    relying_parties.py ISSUER FOLDER [--cloud-seconds N] [--vault-seconds N] [--vault-max-seconds N]

Writes FOLDER/ca.pem, the CA of all of them, and FOLDER/parties.json, their URLs, once they listen; then
serves until it is stopped. What each of them took is at its `/record`.
"""

import argparse
import json
import os
import signal
from pathlib import Path

from parties.authority import make_certificates
from parties.entra import Entra
from parties.google import Google
from parties.issuer import Issuer
from parties.kubernetes import Kubernetes
from parties.sts import Sts
from parties.vault import Vault
from parties.web import serve, serve_proxy, server_tls


def main():
    parser = argparse.ArgumentParser(description="Serve relying parties for tests.")
    parser.add_argument("issuer", help="the issuer that they trust")
    parser.add_argument("folder", type=Path, help="for the CA and the list of URLs")
    parser.add_argument(
        "--cloud-seconds", type=int, default=60, help="how long credentials of AWS and Google live"
    )
    parser.add_argument("--vault-seconds", type=int, default=20, help="how long a Vault token lives")
    parser.add_argument("--vault-max-seconds", type=int, default=3600, help="past which none is renewed")
    arguments = parser.parse_args()

    issuer = Issuer(arguments.issuer)
    sts, google = Sts(issuer, arguments.cloud_seconds), Google(issuer, arguments.cloud_seconds)
    entra = Entra(issuer)
    vault = Vault(issuer, arguments.vault_seconds, arguments.vault_max_seconds, sts, google, entra)
    parties = {"sts": sts, "google": google, "entra": entra, "vault": vault, "kubernetes": Kubernetes(issuer)}

    hosts = [host for party in parties.values() for host in party.hosts]
    make_certificates(arguments.folder, hosts)
    tls = server_tls(arguments.folder / "server.pem", arguments.folder / "server.key")
    ports = {name: serve(party, tls) for name, party in parties.items()}
    proxy = serve_proxy({host: ports[name] for name, party in parties.items() for host in party.hosts})

    urls = {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
    write_whole(arguments.folder / "parties.json", json.dumps(urls | {"proxy": f"http://127.0.0.1:{proxy}"}))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def write_whole(file, text):
    """Whoever waits for the file finds all of it."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, file)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
