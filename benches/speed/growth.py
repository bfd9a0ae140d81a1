"""The same rate with much in the database: each full one beside an empty one, by turns."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import history
from bench import POSTGRES, SQLITE, SQLITE_THREADS, Bench, running
from callers import add_client, minting, open_runs
from database import Database, PostgresDatabase, SqliteDatabase, add_clients, add_runs
from figures import Figure
from load import Request, write_requests, wrk
from servers import Postgres, Server, new_sealing_key

CONNECTIONS = 64


@dataclass
class Side:
    """A server, its database, and who asks it."""

    server: Server
    database: Database
    secret: str
    requests: Path
    cpu: Callable[[], float]

    def filled(self, fill: Callable[[Database], list[Request]], bench: Bench) -> "Side":
        """With other rows, and asked by those whom `fill` names."""
        self.server.stop()
        requests = fill(self.database)
        self.server.start()
        self.requests = write_requests(bench.new_path("requests"), requests)
        return self


def measure(bench: Bench, postgres: Postgres) -> None:
    many = (10_000, 100_000) if bench.quick else (1_000_000, 10_000_000)
    callers = 1_000 if bench.quick else 10_000
    for store in (SQLITE, POSTGRES):
        with (bench.part(f"Growth of runs and events on {store}"),
              running(Sides(bench, store, postgres)) as sides):
            with_history(bench, sides, *many, callers)
        with (bench.part(f"Growth of keys on {store}"),
              running(Sides(bench, store, postgres)) as sides):
            with_keys(bench, sides, 10 if bench.quick else 100)
        with (bench.part(f"Growth of clients on {store}"),
              running(Sides(bench, store, postgres)) as sides):
            with_clients(bench, sides, callers)


class Sides:
    """Two servers, each with a database of its own, empty but for a client and a run."""

    def __init__(self, bench: Bench, store: str, postgres: Postgres) -> None:
        self.group = f"Growth: RS256 on {store}"
        self.empty = side(bench, store, postgres)
        self.full = side(bench, store, postgres)

    def stop(self) -> None:
        self.empty.server.stop()
        self.full.server.stop()


def side(bench: Bench, store: str, postgres: Postgres) -> Side:
    path = bench.new_path("growth")
    if store == SQLITE:
        server = Server(bench.binary, path, "RS256")
        database: Database = SqliteDatabase(server.sqlite_file)
        cpu = sqlite_cpu(server)
    else:
        name = postgres.database()
        server = Server(bench.binary, path, "RS256", store=postgres.url(name),
                        sealing_key=new_sealing_key())
        database = PostgresDatabase(postgres, name)
        cpu = postgres.process.cpu
    secret = add_client(server)
    requests = write_requests(bench.new_path("requests"), open_runs(server, secret, 1))
    return Side(server, database, secret, requests, cpu)


def sqlite_cpu(server: Server) -> Callable[[], float]:
    return lambda: sum(server.process.cpu_of_threads(SQLITE_THREADS).values())


def with_history(bench: Bench, sides: Sides, runs: int, events: int, callers: int) -> None:
    def fill(database: Database) -> list[Request]:
        history.add(database, runs, events, bench.results.tell)
        return add_runs(database, callers)

    sides.empty.filled(lambda database: add_runs(database, callers), bench)
    sides.full.filled(fill, bench)
    by_turns(bench, sides, f"{runs:,} runs and {events:,} events, asked by {callers:,} runs", 0.95)


def with_keys(bench: Bench, sides: Sides, versions: int) -> None:
    """Emergencies make them, one after the other; what they withdrew counts as retired since."""
    bench.results.tell(f"  rotating {versions} times")
    for _ in range(versions):
        sides.full.server.operate("POST", "/v1/keys/rotate", {"emergency": True})

    def fill(database: Database) -> list[Request]:
        database.run("UPDATE key_version SET state = 'retired', retired_at = revoked_at, "
                     "revoked_at = NULL WHERE state = 'revoked'")
        return add_runs(database, 256)

    sides.empty.filled(lambda database: add_runs(database, 256), bench)
    sides.full.filled(fill, bench)
    by_turns(bench, sides, f"{versions} key versions in history", 0.95)


def with_clients(bench: Bench, sides: Sides, count: int) -> None:
    """Each mints directly; on the other side one client does."""
    sides.empty.filled(lambda _: [minting(sides.empty.secret, 1)], bench)
    sides.full.filled(lambda database: add_clients(database, count), bench)
    by_turns(bench, sides, f"{count:,} clients, all of them asking", 0.95)


def by_turns(bench: Bench, sides: Sides, what: str, wanted: float) -> None:
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    costs: dict[str, list[float]] = {"empty": [], "full": []}
    pair = {"empty": sides.empty, "full": sides.full}
    for at_side in pair.values():
        wrk(at_side.server.url, at_side.requests, CONNECTIONS, bench.seconds / 2)
    for _ in range(2 if bench.quick else 4):
        for name, at_side in pair.items():
            before = at_side.cpu()
            rate = wrk(at_side.server.url, at_side.requests, CONNECTIONS, bench.seconds)
            rates[name].append(rate.per_second)
            costs[name].append((at_side.cpu() - before) / rate.requests * 1e6)
    full, empty = (statistics.median(rates[name]) for name in ("full", "empty"))
    bench.results.add(Figure(sides.group, what, full, "tokens/s", ratio=full / empty, to="empty",
                             wanted=wanted, note=f"empty: {empty:,.0f} tokens/s"))
    full, empty = (statistics.median(costs[name]) for name in ("full", "empty"))
    bench.results.add(Figure(sides.group, f"{what}: the database's processor", full, "µs/token",
                             ratio=full / empty if empty else None, to="empty"))
