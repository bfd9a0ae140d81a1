"""A server's database, to put rows into it that its callers know. The server has made its tables
and is stopped meanwhile."""

import hashlib
import secrets
import sqlite3
import time
import uuid
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from callers import AUDIENCE, minting
from load import Request
from servers import Postgres

# Rows of one INSERT.
PIECE = 500


@dataclass(frozen=True)
class SqliteDatabase:
    """A file."""

    file: Path
    is_postgres = False

    def run(self, *statements: str) -> list[tuple[str, ...]]:
        """Runs all of them or none; the rows of the last one."""
        with closing(sqlite3.connect(self.file, timeout=60, isolation_level=None)) as connection:
            # For these rows only: the server opens the file with its own settings.
            for setting in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute("BEGIN")
            rows: list[tuple[str, ...]] = []
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return rows


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of the cluster."""

    postgres: Postgres
    name: str
    is_postgres = True

    def run(self, *statements: str) -> list[tuple[str, ...]]:
        """Runs all of them or none; the rows of the last one."""
        text = ";\n".join(("BEGIN", *statements, "COMMIT;"))
        answer = self.postgres.sql(self.name, text)
        return [tuple(line.split("|")) for line in answer.splitlines()]

    def settle(self) -> None:
        """What autovacuum and the checkpointer would do sooner or later, so that they do not do it
        in the middle of a measurement."""
        self.postgres.sql(self.name, "VACUUM (ANALYZE)")
        self.postgres.sql(self.name, "CHECKPOINT")


Database = SqliteDatabase | PostgresDatabase


def secret(prefix: str) -> str:
    """As the program makes them: 256 bits in hexadecimal and a checksum."""
    text = prefix + secrets.token_hex(32)
    return f"{text}{zlib.crc32(text.encode()):08x}"


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def uuid7() -> str:
    value = int(time.time() * 1000) << 80 | 7 << 76 | secrets.randbits(76)
    return str(uuid.UUID(int=value & ~(3 << 62) | 2 << 62))


def pieces(rows: list[str]) -> list[str]:
    return [", ".join(rows[at:at + PIECE]) for at in range(0, len(rows), PIECE)]


def add_runs(database: Database, count: int) -> list[Request]:
    """Open runs whose request tokens are known, like the one that is there."""
    rows, requests = [], []
    for number in range(count):
        run, token = uuid7(), secret("rmr_")
        rows.append(f"('{run}', '{hash_of(token)}', 'run-{number:016d}')")
        requests.append(Request(f"/v1/token?run={run}&audience={AUDIENCE}", token))
    like = ("client, subject, organization_id, project_id, target_id, audiences, aws_session_tags, "
            "opened_at, expires_at")
    database.run(*(
        f"""WITH made (id, token_hash, run_id) AS (VALUES {piece}),
        known AS (SELECT {like} FROM run WHERE closed_at IS NULL ORDER BY expires_at DESC LIMIT 1)
        INSERT INTO run (id, token_hash, run_id, {like})
        SELECT made.id, made.token_hash, made.run_id, {like} FROM made CROSS JOIN known"""
        for piece in pieces(rows)))
    return requests


def add_clients(database: Database, count: int) -> list[Request]:
    """Clients with a secret each, that may do what the one that is there may."""
    names, hashes, requests = [], [], []
    now = int(time.time())
    for number in range(count):
        token = secret("rmc_")
        hashed = hash_of(token)
        names.append(f"('client-{number:05d}')")
        hashes.append(f"('{hashed}', '{hashed[:12]}', 'client-{number:05d}', {now})")
        requests.append(minting(token, 1, number))
    like = "grants, aws_session_tags, created_at"
    clients = [f"""WITH made (name) AS (VALUES {piece}),
        known AS (SELECT {like} FROM client WHERE name NOT LIKE 'client-%' LIMIT 1)
        INSERT INTO client (name, {like}) SELECT made.name, {like} FROM made CROSS JOIN known"""
        for piece in pieces(names)]
    kept = [f"INSERT INTO client_secret (hash, id, client, created_at) VALUES {piece}"
            for piece in pieces(hashes)]
    database.run(*clients, *kept)
    return requests


def minted(database: Database) -> int:
    """How many tokens are on record, once those that a load left under way are."""
    time.sleep(1)
    return int(database.run("SELECT COUNT(*) FROM event WHERE kind = 'token.minted'")[0][0])
