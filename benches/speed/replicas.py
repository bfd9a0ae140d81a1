"""One, two and three replicas on one Postgres, on this one machine: whether they are in each
other's way. More tokens than one has are not to be expected of the same cores."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench import Bench, running
from callers import add_client, open_runs
from figures import Figure
from limit import KINDS, signatures_per_second
from load import Rate, write_requests, wrk
from servers import Postgres, Server, new_sealing_key

RUNS = 256
# Divided among the replicas.
CONNECTIONS = 96


def measure(bench: Bench, postgres: Postgres) -> None:
    for algorithm in KINDS:
        for count in (1, 2, 3):
            with bench.part(f"Replicas, {algorithm}: {count} of them"):
                with_replicas(bench, postgres, algorithm, count)


def with_replicas(bench: Bench, postgres: Postgres, algorithm: str, count: int) -> None:
    store, key = postgres.url(postgres.database()), new_sealing_key()
    with ExitStack() as stack:
        servers: list[Server] = []
        for _ in range(count):
            server = Server(bench.binary, bench.new_path("replica"), algorithm, store=store,
                            sealing_key=key, issuer=servers[0].url if servers else None)
            servers.append(stack.enter_context(running(server)))
        secret = add_client(servers[0])
        requests = write_requests(bench.new_path("runs"), open_runs(servers[0], secret, RUNS))

        def load(server: Server, seconds: float) -> Rate:
            return wrk(server.url, requests, CONNECTIONS // count, seconds)

        with ThreadPoolExecutor(count) as pool:
            list(pool.map(load, servers, [bench.seconds / 2] * count))
            before = signatures_per_second(algorithm, bench.limit_seconds)
            cpu = postgres.process.cpu()
            rates = list(pool.map(load, servers, [bench.seconds] * count))
            cpu = postgres.process.cpu() - cpu
            after = signatures_per_second(algorithm, bench.limit_seconds)
    total = sum(rate.per_second for rate in rates)
    group, name = f"Replicas on one Postgres, {algorithm}", f"{count} of them"
    bench.results.add(Figure(group, name, total, "tokens/s", ratio=total * 2 / (before + after),
                             to="openssl"))
    bench.results.add(Figure(group, f"{name}: Postgres' processor",
                             cpu / sum(rate.requests for rate in rates) * 1e6, "µs/token"))
