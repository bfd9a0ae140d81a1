"""From the start of the program until it is ready to mint."""

import statistics

from bench import POSTGRES, SQLITE, Bench, running
from figures import Figure
from limit import KINDS
from servers import Postgres

GROUP = "Start to ready"


def measure(bench: Bench, postgres: Postgres) -> None:
    for store in (SQLITE, POSTGRES):
        for algorithm in KINDS:
            with running(bench.server(store, algorithm, postgres)) as server:
                first = server.ready_after
                again = []
                for _ in range(3 if bench.quick else 9):
                    server.stop()
                    server.start()
                    again.append(server.ready_after)
            add = bench.results.add
            add(Figure(GROUP, f"{algorithm} on {store}, the first time", first * 1000, "ms",
                       note="makes the tables and the first key"))
            add(Figure(GROUP, f"{algorithm} on {store}, again", statistics.median(again) * 1000,
                       "ms"))
