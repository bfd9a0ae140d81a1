"""Four times what the server can do, from 4,096 connections: each request is answered, with a token
or with word when to come back; each token is on record and verifies; then all is as before."""

import statistics
import time
from pathlib import Path
from typing import Any

from bench import POSTGRES, SQLITE, Bench, running
from callers import add_client, open_runs
from checker import Checker
from database import Database, PostgresDatabase, SqliteDatabase, minted
from figures import Failed, Figure
from load import Logged, Rate, Request, counted, h2load, read_log, write_requests, wrk
from processes import Sampler
from servers import Postgres, Server

CONNECTIONS = 4_096
TIMES = 4
RUNS = 256
# Of the rate before, when it counts as back: the rate of one second wavers by more than a few percent.
# And how long that may take.
BACK, PATIENCE = 0.9, 30


def measure(bench: Bench, postgres: Postgres) -> None:
    for store in (SQLITE, POSTGRES):
        with (bench.part(f"Overload on {store}"),
              running(bench.server(store, "RS256", postgres)) as server):
            of_store(bench, server, database_of(server, store, postgres),
                     f"Overload: RS256 on {store}")


def database_of(server: Server, store: str, postgres: Postgres) -> Database:
    if store == SQLITE:
        return SqliteDatabase(server.sqlite_file)
    return PostgresDatabase(postgres, postgres.newest)


def of_store(bench: Bench, server: Server, database: Database, group: str) -> None:
    runs = open_runs(server, add_client(server), RUNS)
    requests = write_requests(bench.new_path("runs"), runs)
    wrk(server.url, requests, 64, 2)
    usual = statistics.median(wrk(server.url, requests, 64, bench.seconds).per_second
                              for _ in range(bench.rounds))
    before = minted(database)
    with Sampler(server.process.rss_mb) as memory, Checker(server, runs) as checker:
        text, lines = flood(bench, server, runs[0], usual * TIMES)
    after = minted(database)
    back = recovered(server, requests, usual)

    def add(name: str, value: float, unit: str, **more: Any) -> None:
        bench.results.add(Figure(group, name, value, unit, **more))

    counts = counted(text, "requests:")
    taken = [line for line in lines if 200 <= line.status < 300]
    refused = [line for line in lines if line.status in (429, 503)]
    other = len(lines) - len(taken) - len(refused)
    sent, minted_then, turned_away = (plateau(some, lines) for some in (lines, taken, refused))
    add("rate before", usual, "tokens/s")
    add("sent", sent, "requests/s", ratio=sent / usual, to="rate before", wanted=3.5,
        note=f"{CONNECTIONS:,} connections of one address, together asking {TIMES} times as often "
        "as could be served; while the middle half of the requests were sent")
    add("tokens meanwhile", minted_then, "tokens/s", ratio=minted_then / usual, to="rate before")
    add("refused, to come back", turned_away, "answers/s")
    lost = counts["total"] - len(lines) + counts["errored"] + counts["timeout"]
    add("lost: no answer", lost, "requests", wanted=0, at_most=True,
        note="all that h2load set out to send, less what its log has an answer for, and its own "
        "count of errors and timeouts")
    add("answered otherwise", other, "requests", wanted=0, at_most=True)
    add("tokens without a record, or records without", abs(after - before - len(taken)
        - checker.minted), "tokens", wanted=0, at_most=True)
    add("another caller meanwhile: tokens verified", checker.verified, "tokens")
    add("another caller meanwhile: wrong answers", len(checker.wrong), "answers", wanted=0,
        at_most=True, note="; ".join(checker.wrong[:3]))
    add("refusals looked at for Retry-After", checker.refused, "answers")
    add("memory, highest", memory.highest(), "MB")
    add(f"until {BACK} of the rate again", back, "s", wanted=5, at_most=True)
    if checker.wrong:
        bench.results.fail(f"{group}: {checker.wrong[0]}")


def flood(bench: Bench, server: Server, request: Request,
          per_second: float) -> tuple[str, list[Logged]]:
    seconds = 3 if bench.quick else 15
    log = bench.new_path("overload")
    arguments = ["--h1", f"--clients={CONNECTIONS}", f"--requests={round(per_second * seconds)}",
                 f"--rps={per_second / CONNECTIONS:.3f}", f"--rate={CONNECTIONS // 4}",
                 "--rate-period=500ms", "--connection-inactivity-timeout=60"]
    return h2load(server.url, arguments, request, log), read_log(log)


def plateau(some: list[Logged], lines: list[Logged]) -> float:
    """How many of them began in a second, while the middle half of all did."""
    first, _, last = statistics.quantiles((line.start_us for line in lines), n=4)
    inside = [line for line in some if first <= line.start_us <= last]
    return len(inside) / (last - first) * 1e6


def recovered(server: Server, requests: Path, usual: float) -> float:
    """Seconds from the end of the load to the end of the first whole second at the usual rate."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        rate: Rate = wrk(server.url, requests, 64, 1)
        if rate.per_second >= BACK * usual:
            return time.monotonic() - begun
    raise Failed(f"the rate did not come back in {PATIENCE} s")
