"""Minting over HTTP: how many tokens a second, how long each takes, and what it costs where."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import POSTGRES, SQLITE, SQLITE_THREADS, Bench, connections_of, running
from callers import add_client, minting, open_runs
from figures import Figure
from limit import KINDS, signatures_per_second
from load import Rate, Request, multiplexed, paced, percentile_ms, warmed, write_requests, wrk
from processes import Sampler
from servers import Bare, Postgres, Server, exchange

RUNS = 256
# Where the cost of a token is looked at, and what memory is looked at.
BUSY, MANY = 64, 256
ES256_PER_SECOND = 10_000


@dataclass
class Target:
    """A server that is measured, and what its figures are called."""

    bench: Bench
    server: Server
    postgres: Postgres
    store: str
    algorithm: str

    @property
    def group(self) -> str:
        return f"Minting {self.algorithm} on {self.store}"

    def database_cpu(self) -> float:
        return self.postgres.process.cpu() if self.store == POSTGRES else 0.0

    def add(self, name: str, value: float, unit: str = "tokens/s", **more: Any) -> Figure:
        return self.bench.results.add(Figure(self.group, name, value, unit, **more))


# A figure, the limit, and whether something is wanted of it.
Judge = Callable[[Figure, float, bool], Figure]


def measure(bench: Bench, postgres: Postgres) -> None:
    for algorithm in KINDS:
        for store in (SQLITE, POSTGRES):
            with (bench.part(f"Minting {algorithm} on {store}"),
                  running(bench.server(store, algorithm, postgres)) as server):
                block(Target(bench, server, postgres, store, algorithm))


def block(target: Target) -> None:
    bench, server = target.bench, target.server
    secret = add_client(server)
    runs = open_runs(server, secret, RUNS)
    by_runs = write_requests(bench.new_path("runs"), runs)
    by_client = write_requests(bench.new_path("client"), [minting(secret, 1)])
    by_eight = write_requests(bench.new_path("eight"), [minting(secret, 8)])
    time.sleep(1)
    at_rest = server.process.rss_mb()

    judged = judge(target, runs[0])
    with Sampler(server.process.rss_mb) as memory:
        best = rates(target, "GET /v1/token", by_runs, judged)
        rates(target, "POST /v1/tokens", by_client, judged)
    one = bench.results.find(target.group, f"POST /v1/tokens, {BUSY} connections")
    eight = warmed(server.url, by_eight, BUSY, bench.seconds).per_second * 8
    target.add(f"POST /v1/tokens, 8 audiences, {BUSY} connections", eight,
               ratio=eight / one.value if one else None, to="one audience",
               wanted=1 if target.algorithm == "ES256" else None)
    target.add("GET /v1/token, HTTP/2, 8 connections of 16",
               multiplexed(server.url, runs[0], bench.seconds))
    with bench.part(f"{target.group}, latency", watched=False):
        latency(target, runs[0], best)
    add_memory(target, at_rest, memory.highest())


def judge(target: Target, request: Request) -> Judge:
    """How a rate is judged: a share of openssl's for RS256, a number a second for ES256."""
    bare = of_bare(target, request)

    def judged(figure: Figure, limit: float, wanted: bool) -> Figure:
        if target.algorithm == "RS256":
            figure.ratio, figure.to = figure.value / limit, "openssl"
            if wanted:
                figure.wanted, figure.goal = 0.75, 0.85
            return figure
        enough = min(ES256_PER_SECOND, bare / 2)
        figure.ratio = figure.value / enough
        figure.to = "10,000/s" if enough == ES256_PER_SECOND else "half of bare HTTP"
        figure.of_limit = figure.value / limit
        if wanted:
            figure.wanted = 1
        return figure

    return judged


def rates(target: Target, name: str, requests: Path, judged: Judge) -> float:
    """The rate at each number of connections, between two looks at the limit; the highest."""
    bench = target.bench
    before = signatures_per_second(target.algorithm, bench.limit_seconds)
    found: dict[int, Rate] = {}
    parts: dict[str, float] = {}
    for connections in bench.connections:
        if connections == BUSY:
            found[connections], parts = with_cost(target, requests)
        else:
            found[connections] = warmed(target.server.url, requests, connections, bench.seconds)
    after = signatures_per_second(target.algorithm, bench.limit_seconds)
    limit = (before + after) / 2
    target.add(f"openssl speed around {name}", limit, "signatures/s",
               note=f"{before:,.0f} before, {after:,.0f} after")
    for connections, rate in found.items():
        figure = Figure(target.group, f"{name}, {connections_of(connections)}", rate.per_second,
                        "tokens/s")
        bench.results.add(judged(figure, limit, connections >= BUSY))
    whole = (os.cpu_count() or 1) * 1e6 / found[BUSY].per_second
    for part, cost in parts.items():
        target.add(f"{name}, processor at {BUSY}: {part}", cost, "µs/token", ratio=cost / whole,
                   to="all cores' time")
    return max(rate.per_second for rate in found.values())


def of_bare(target: Target, request: Request) -> float:
    """What the bare framework answers with a body of that size; its cost is remembered."""
    bench = target.bench
    headers = {"Authorization": f"Bearer {request.token}"}
    size = len(exchange(target.server.port, "GET", request.path, None, headers)[2])
    asked = write_requests(bench.new_path("bare"), [Request("/body", request.token)])
    with running(Bare(bench.bare, bench.new_path("bare.log"), size)) as bare:
        wrk(bare.url, asked, BUSY, bench.seconds / 3)
        before = bare.process.cpu()
        rate = wrk(bare.url, asked, BUSY, bench.seconds)
        cost = (bare.process.cpu() - before) / rate.requests * 1e6
    target.add(f"bare HTTP, {size} bytes, {BUSY} connections", rate.per_second, "answers/s")
    target.add("bare HTTP, processor", cost, "µs/answer")
    return rate.per_second


def with_cost(target: Target, requests: Path) -> tuple[Rate, dict[str, float]]:
    """A rate, and the microseconds of a token by who had them."""
    bench, process = target.bench, target.server.process
    wrk(target.server.url, requests, BUSY, bench.seconds / 3)
    server, threads = process.cpu(), process.cpu_of_threads(SQLITE_THREADS)
    postgres = target.database_cpu()
    rate = wrk(target.server.url, requests, BUSY, bench.seconds)
    postgres = target.database_cpu() - postgres
    sqlite = sum(seconds - threads.get(thread, 0)
                 for thread, seconds in process.cpu_of_threads(SQLITE_THREADS).items())
    server = process.cpu() - server - sqlite

    def each(seconds: float) -> float:
        return seconds / rate.requests * 1e6

    bare = bench.results.find(target.group, "bare HTTP, processor")
    parts = {
        "signing": bench.microseconds("sign", target.algorithm),
        "verifying": bench.microseconds("verify", target.algorithm),
        "HTTP": bare.value if bare else 0,
    }
    rest = each(server) - sum(parts.values())
    parts |= {"everything else in runmint": rest, "the database's own": each(postgres + sqlite),
              "wrk": each(rate.cpu)}
    return rate, parts


def latency(target: Target, request: Request, best: float) -> None:
    """At half of the highest rate, evenly paced."""
    bench = target.bench
    log, seconds = bench.new_path("paced"), 3 + bench.seconds
    lines = paced(target.server.url, request, best / 2, seconds, log)
    for name, share, wanted in (("p50", 0.5, None), ("p99", 0.99, 10), ("p99.9", 0.999, None)):
        target.add(f"latency at half of the highest rate, {name}", percentile_ms(lines, share),
                   "ms", wanted=wanted, at_most=True, note=f"{best / 2:,.0f} tokens/s")


def add_memory(target: Target, at_rest: float, loaded: float) -> None:
    target.add("memory at rest", at_rest, "MB", wanted=40, at_most=True)
    target.add(f"memory, highest up to {MANY} connections", loaded, "MB", wanted=150, at_most=True)
    time.sleep(1 if target.bench.quick else 5)
    target.add("memory after the load", target.server.process.rss_mb(), "MB")
