"""The servers that are measured, and those they are measured beside: private, on 127.0.0.1."""

import base64
import http.client
import json
import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

from figures import Failed
from processes import Process, free_port


class Postgres:
    """A private cluster. Nothing is set but where it listens and how many may connect: fsync,
    synchronous_commit and full_page_writes are on, as installed."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self._bin, self._folder = bin_folder, folder
        self._password = secrets.token_hex(16)
        # PostgreSQL refuses to run as root; the distribution's package brings its own user.
        self._user = "postgres" if os.geteuid() == 0 else None
        folder.mkdir()
        password = folder / "password"
        password.write_text(self._password)
        if self._user:
            subprocess.run(["chown", "-R", self._user, str(folder)], check=True)
        self._made = 0
        self._run([str(bin_folder / "initdb"), f"--pgdata={folder / 'data'}",
                   "--username=runmint", f"--pwfile={password}", "--auth=scram-sha-256",
                   "--encoding=UTF8", "--locale=C"])
        self.port = free_port()
        self.process = Process(
            [str(bin_folder / "postgres"), "-D", str(folder / "data"), "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}",
             "-c", "max_connections=300"], folder.with_suffix(".log"), user=self._user, cwd=folder)
        self.process.wait_until(self._answers)
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if self.sql("postgres", f"SHOW {setting}") != "on":
                raise Failed(f"PostgreSQL runs without {setting}")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, user=self._user,
                              group=self._user, extra_groups=[] if self._user else None,
                              cwd=self._folder, check=False)
        if done.returncode != 0:
            raise Failed(f"{command[0]}: {done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        return self._psql("postgres", "SELECT 1").returncode == 0

    def _psql(self, database: str, text: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                   "--set=ON_ERROR_STOP=1", "--host=127.0.0.1", f"--port={self.port}",
                   "--username=runmint", f"--dbname={database}"]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                              env=os.environ | {"PGPASSWORD": self._password})

    def sql(self, database: str, text: str) -> str:
        """Runs SQL; what it answers, as text."""
        done = self._psql(database, text)
        if done.returncode != 0:
            raise Failed(f"PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()

    def database(self) -> str:
        """A new database; its name."""
        self._made += 1
        self.sql("postgres", f"CREATE DATABASE {self.newest}")
        return self.newest

    @property
    def newest(self) -> str:
        """The database that was made last."""
        return f"runmint_{self._made}"

    def url(self, database: str) -> str:
        return f"postgres://runmint:{self._password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)


class Server:
    """`runmint serve` with its defaults; only where things are is set."""

    def __init__(self, binary: Path, folder: Path, algorithm: str, *, store: str | None = None,
                 issuer: str | None = None, sealing_key: str | None = None) -> None:
        self._binary, self._folder = binary, folder
        folder.mkdir(exist_ok=True)
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # What is set in this shell for another runmint is nothing to this one.
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("RUNMINT_", "WORKLOAD_IDENTITY_"))}
        self.issuer = issuer or self.url
        self._env = kept | {
            "RUNMINT_ISSUER__URL": self.issuer,
            "RUNMINT_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "RUNMINT_ADMIN__LISTEN": f"127.0.0.1:{self.admin_port}",
            "RUNMINT_DATA_DIR": str(folder),
            "RUNMINT_KEYS__ALGORITHM": algorithm,
        }
        if store:
            self._env["RUNMINT_STORE__URL"] = store
            self._env["RUNMINT_KEYS__SEALING_KEY"] = sealing_key or new_sealing_key()
        self.start()

    def start(self) -> None:
        """Sets how long it took until it was ready."""
        self.process = Process([str(self._binary), "serve"], self._folder.with_suffix(".log"),
                               env=self._env)
        self.ready_after = self.process.wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.stop()

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return exchange(self.port, "GET", path)

    def call(self, method: str, path: str, body: Any, token: str) -> Any:
        """A call of the public listener's API."""
        return call(self.port, method, path, body, token)

    def operate(self, method: str, path: str, body: Any) -> Any:
        """A call of an operator."""
        token = (self._folder / "admin-token").read_text().strip()
        return call(self.admin_port, method, path, body, token)

    @property
    def sqlite_file(self) -> Path:
        return self._folder / "runmint.db"


def new_sealing_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def exchange(port: int, method: str, path: str, body: bytes | None = None,
             headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return response.status, told, response.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def call(port: int, method: str, path: str, body: Any, token: str) -> Any:
    """A request with JSON, and the JSON that comes back."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent = None if body is None else json.dumps(body).encode()
    status, _, answer = exchange(port, method, path, sent, headers)
    if status >= 300:
        raise Failed(f"{method} {path} was answered {status}: {answer[:300]!r}")
    return json.loads(answer) if answer else None


class Bare:
    """The bare HTTP framework, with a body of so many bytes: `/body`, and `/signed` after a signature
    and its check."""

    def __init__(self, binary: Path, log: Path, size: int, algorithm: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process([str(binary), "serve", str(self.port), str(size), algorithm], log)
        self.process.wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return exchange(self.port, "GET", "/body")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.stop()


class Nginx:
    """nginx that serves the same bytes with the same headers, set up to be fast: as many workers as
    cores, no log, open files kept."""

    def __init__(self, folder: Path, documents: dict[str, tuple[dict[str, str], bytes]]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        locations = []
        for number, (path, (headers, body)) in enumerate(documents.items()):
            (folder / f"{number}.json").write_bytes(body)
            locations.append(location(path, f"{folder}/{number}.json", headers))
        (folder / "nginx.conf").write_text(CONF.format(
            folder=folder, port=self.port, locations="\n".join(locations),
            # Its workers must be able to read the folder.
            user="user root;" if os.geteuid() == 0 else ""))
        self.process = Process(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
                               folder.with_suffix(".log"))
        self.process.wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            exchange(self.port, "GET", "/")
            return True
        except OSError:
            return False

    def stop(self) -> None:
        self.process.stop()


CONF = """
{user}
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    open_file_cache_valid 1h;
    etag off;
    max_ranges 0;
    default_type application/json;
    types {{ }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        {locations}
    }}
}}
"""

# What nginx writes by itself, or the connection decides.
OWN = {"connection", "content-length", "content-type", "date", "server", "transfer-encoding",
       "x-request-id"}


def location(path: str, file: str, headers: dict[str, str]) -> str:
    same = [f"add_header {name} '{value}';" for name, value in headers.items() if name not in OWN]
    lines = [f"location = {path} {{", f"    alias {file};", "    add_header last-modified '';",
             "    add_header x-request-id $request_id;", *(f"    {line}" for line in same), "}"]
    return "\n        ".join(lines)
