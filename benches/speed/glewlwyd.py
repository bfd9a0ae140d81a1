"""Glewlwyd, of Debian: a private one with a SQLite file, set up over its REST API."""

import json
import secrets
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from figures import Failed
from load import Request
from processes import Process, free_port
from servers import exchange

# What its package installs.
SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
MODULES = "/usr/lib/glewlwyd"

CONF = """
port = {port}
bind_address = "127.0.0.1"
external_url = "http://127.0.0.1:{port}"
login_url = "login.html"
api_prefix = "api"
log_mode = "console"
log_level = "ERROR"
cookie_secure = 0
session_key = "GLEWLWYD2_SESSION_ID"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{modules}/user"
client_module_path = "{modules}/client"
user_auth_scheme_module_path = "{modules}/scheme"
plugin_module_path = "{modules}/plugin"
# It asks for their names although it does not use them.
use_secure_connection = false
secure_connection_key_file = "none"
secure_connection_pem_file = "none"
secure_connection_ca_file = "none"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{database}" }};
"""


class Glewlwyd:
    """Its OAuth 2 plugin signs access tokens as JWTs with RS256; a client with a secret gets them
    with `grant_type=client_credentials`. It writes a row for each token into its database."""

    name = "glewlwyd, SQLite"
    note = ("client_credentials, access tokens as RS256 JWTs, its OAuth 2 plugin; a row for each "
            "token in its SQLite database, in WAL mode; by its defaults otherwise")

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with closing(sqlite3.connect(folder / "database")) as database:
            # Sooner written, and as durable; its own choice is a journal beside the file.
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(SCHEMA.read_text())
        conf = folder / "glewlwyd.conf"
        conf.write_text(CONF.format(port=self.port, modules=MODULES, database=folder / "database"))
        self.process = Process(["glewlwyd", f"--config-file={conf}"], folder.with_suffix(".log"))
        self.process.wait_until(self._is_ready)
        try:
            self.request = self._set_up(folder)
        except Failed:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.stop()

    def _is_ready(self) -> bool:
        try:
            return exchange(self.port, "GET", "/config")[0] == 200
        except OSError:
            return False

    def _set_up(self, folder: Path) -> Request:
        # As its first administrator, by the password that it is installed with.
        headers = self._call("POST", "/api/auth/", {"username": "admin", "password": "password"},
                             "")[1]
        cookie = headers["set-cookie"].split(";")[0]
        self._call("POST", "/api/scope/", {"name": "workload", "display_name": "workload",
                                           "password_required": False, "scheme": {}}, cookie)
        key, certificate = key_pair(folder)
        self._call("POST", "/api/mod/plugin/", {
            "module": "oauth2-glewlwyd", "name": "oauth2", "display_name": "oauth2",
            "enabled": True, "parameters": {
                "url": "oauth2", "jwt-type": "rsa", "jwt-key-size": "256", "key": key,
                "cert": certificate, "access-token-duration": 3600,
                "refresh-token-duration": 3600, "code-duration": 600,
                "refresh-token-rolling": False, "auth-type-code-enabled": False,
                "auth-type-implicit-enabled": False, "auth-type-password-enabled": False,
                "auth-type-client-enabled": True, "auth-type-refresh-enabled": False,
            }}, cookie)
        secret = secrets.token_hex(16)
        self._call("POST", "/api/client/", {
            "client_id": "bench", "name": "bench", "confidential": True, "enabled": True,
            "client_secret": secret, "password": secret, "scope": ["workload"],
            "authorization_type": ["client_credentials"],
        }, cookie)
        body = "grant_type=client_credentials&scope=workload"
        return Request("/api/oauth2/token", body=body).with_basic("bench", secret)

    def _call(self, method: str, path: str, body: Any, cookie: str) -> tuple[int, dict[str, str]]:
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        sent = json.dumps(body).encode()
        status, told, answer = exchange(self.port, method, path, sent, headers)
        if status >= 300:
            raise Failed(f"glewlwyd answered {method} {path} with {status}: {answer[:300]!r}")
        return status, told


def key_pair(folder: Path) -> tuple[str, str]:
    """A key of the size that runmint's have."""
    key, public = folder / "key.pem", folder / "public.pem"
    for command in (["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                     str(key)], ["pkey", "-in", str(key), "-pubout", "-out", str(public)]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return key.read_text(), public.read_text()
