"""Memory over a long load: it must not grow."""

import statistics
import threading

from bench import SQLITE, Bench, running
from callers import add_client, open_runs
from figures import Figure
from load import write_requests, wrk
from processes import Sampler
from servers import Postgres

CONNECTIONS = 256
RUNS = 1_000
GROUP = "Soak: RS256 on SQLite, 256 connections"
# The most that memory may grow over what is looked at, beyond what it wavers by.
GROWTH_MB = 1.0


def measure(bench: Bench, postgres: Postgres) -> None:
    """The first third is not looked at: caches fill. A line is laid through the rest; memory is
    flat if the line rises by less than a megabyte and what the values waver around it."""
    seconds = 15 if bench.quick else bench.soak_seconds
    bench.results.tell(f"  {seconds} s")
    with running(bench.server(SQLITE, "RS256", postgres)) as server:
        secret = add_client(server)
        requests = write_requests(bench.new_path("runs"), open_runs(server, secret, RUNS))
        threading.Event().wait(1)
        at_rest = server.process.rss_mb()
        with Sampler(server.process.rss_mb, every=0.5 if bench.quick else 5) as memory:
            rate = wrk(server.url, requests, CONNECTIONS, seconds)
        after = server.process.rss_mb()
    looked_at = memory.values[len(memory.values) // 3:]
    slope = statistics.linear_regression([at for at, _ in looked_at], [mb for _, mb in looked_at])
    window = looked_at[-1][0] - looked_at[0][0]
    wavers = statistics.stdev(mb - (slope.slope * at + slope.intercept) for at, mb in looked_at)
    rise = slope.slope * window
    add = bench.results.add
    add(Figure(GROUP, "rate", rate.per_second, "tokens/s"))
    add(Figure(GROUP, "memory before", at_rest, "MB"))
    add(Figure(GROUP, "memory, highest", memory.highest(), "MB", wanted=150, at_most=True))
    add(Figure(GROUP, "memory after", after, "MB"))
    add(Figure(GROUP, "memory, slope", slope.slope * 60, "MB/min"))
    add(Figure(GROUP, f"memory, rise over the last {window:.0f} s", rise, "MB",
               wanted=GROWTH_MB + wavers, at_most=True,
               note=f"flat: the line rises less than {GROWTH_MB} MB and what the values waver "
               f"around it ({wavers:.2f} MB)"))
