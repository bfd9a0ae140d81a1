"""Minting over HTTP: how many tokens a second, how long each takes, and what it costs where."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import POSTGRES, SQLITE, SQLITE_THREADS, Bench, connections_of, running
from callers import add_client, minting, open_runs
from figures import Figure
from limit import KINDS, signatures_per_second
from load import Logged, Rate, Request, multiplexed, paced, percentile_ms, warmed, write_requests, wrk
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


# A figure, its share of the limit, and whether something is wanted of it.
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

    def judged(figure: Figure, share: float, wanted: bool) -> Figure:
        if target.algorithm == "RS256":
            figure.ratio, figure.to = share, "openssl"
            if wanted:
                figure.wanted, figure.goal = 0.75, 0.85
            return figure
        enough = min(ES256_PER_SECOND, bare / 2)
        figure.ratio = figure.value / enough
        figure.to = "10,000/s" if enough == ES256_PER_SECOND else "half of bare HTTP"
        figure.of_limit = share
        if wanted:
            figure.wanted = 1
        return figure

    return judged


def by_turns(target: Target, looks: dict[str, tuple[int, Callable[[], float]]],
             ) -> tuple[dict[str, tuple[float, float]], list[float]]:
    """Each look as often as it says, between two at the limit: the median of what it gave, and of its
    shares of the limit around it. And what the limits were."""

    def limit() -> float:
        return signatures_per_second(target.algorithm, 1)

    found: dict[str, list[float]] = {name: [] for name in looks}
    shares: dict[str, list[float]] = {name: [] for name in looks}
    limits = [limit()]
    for turn in range(max(often for often, _ in looks.values())):
        for name, (often, look) in looks.items():
            if turn < often:
                found[name].append(look())
                limits.append(limit())
                shares[name].append(found[name][-1] / statistics.mean(limits[-2:]))
    return {name: (statistics.median(found[name]), statistics.median(shares[name]))
            for name in looks}, limits


def rates(target: Target, name: str, requests: Path, judged: Judge) -> float:
    """The rate at each number of connections; the highest."""
    bench, url = target.bench, target.server.url

    def look(connections: int) -> tuple[int, Callable[[], float]]:
        often = bench.turns if connections >= BUSY else bench.rounds
        return often, lambda: wrk(url, requests, connections, bench.look_seconds).per_second

    rate, parts = with_cost(target, requests)
    found, limits = by_turns(
        target, {connections_of(connections): look(connections) for connections in bench.connections})
    target.add(f"openssl speed around {name}", statistics.median(limits), "signatures/s",
               note=f"{min(limits):,.0f} to {max(limits):,.0f}")
    for connections in bench.connections:
        each, share = found[connections_of(connections)]
        figure = Figure(target.group, f"{name}, {connections_of(connections)}", each, "tokens/s")
        bench.results.add(judged(figure, share, connections >= BUSY))
    whole = (os.cpu_count() or 1) * 1e6 / rate.per_second
    for part, cost in parts.items():
        target.add(f"{name}, processor at {BUSY}: {part}", cost, "µs/token", ratio=cost / whole,
                   to="all cores' time")
    return max(each for each, _ in found.values())


@contextmanager
def bare_beside(target: Target, request: Request) -> Iterator[Bare]:
    """The bare framework with a body of the size that this request is answered with."""
    headers = {"Authorization": f"Bearer {request.token}"}
    size = len(exchange(target.server.port, "GET", request.path, None, headers)[2])
    log = target.bench.new_path("bare.log")
    with running(Bare(target.bench.bare, log, size, target.algorithm)) as bare:
        yield bare


def of_bare(target: Target, request: Request) -> float:
    """What the bare framework answers; its cost is remembered."""
    bench = target.bench
    asked = write_requests(bench.new_path("bare"), [Request("/body", request.token)])
    signed = write_requests(bench.new_path("signed"), [Request("/signed", request.token)])
    with bare_beside(target, request) as bare:
        wrk(bare.url, asked, BUSY, bench.seconds / 3)
        before = bare.process.cpu()
        rate = wrk(bare.url, asked, BUSY, bench.seconds)
        cost = (bare.process.cpu() - before) / rate.requests * 1e6
        name = f"bare HTTP with a signature and its check, {BUSY} connections"

        def look() -> float:
            return wrk(bare.url, signed, BUSY, bench.look_seconds).per_second

        found, _ = by_turns(target, {name: (bench.turns, look)})
    target.add(f"bare HTTP, {BUSY} connections", rate.per_second, "answers/s")
    target.add("bare HTTP, processor", cost, "µs/answer")
    with_signature, share = found[name]
    target.add(name, with_signature, "answers/s", ratio=share, to="openssl")
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
    """At half of the highest rate, evenly paced; by turns with the bare framework that makes and
    checks a signature for each answer, since the machine's own slow moments are in both."""
    bench = target.bench
    log = bench.new_path("paced")
    ours: list[list[Logged]] = []
    theirs: list[list[Logged]] = []
    with bare_beside(target, request) as bare:
        for _ in range(bench.rounds):
            for url, asked, into in ((target.server.url, request, ours),
                                     (bare.url, Request("/signed", request.token), theirs)):
                into.append(paced(url, asked, best / 2, 3 + bench.seconds, log))
    name = "latency at half of the highest rate"
    for percent, share, wanted in (("p50", 0.5, None), ("p99", 0.99, 10), ("p99.9", 0.999, None)):
        there = statistics.median(percentile_ms(lines, share) for lines in theirs)
        target.add(f"bare HTTP with a signature, {name}, {percent}", there, "ms")
        here = statistics.median(percentile_ms(lines, share) for lines in ours)
        target.add(f"{name}, {percent}", here, "ms", wanted=wanted, at_most=True,
                   note=f"{best / 2:,.0f} tokens/s")


def add_memory(target: Target, at_rest: float, loaded: float) -> None:
    target.add("memory at rest", at_rest, "MB", wanted=40, at_most=True)
    target.add(f"memory, highest up to {MANY} connections", loaded, "MB", wanted=150, at_most=True)
    time.sleep(1 if target.bench.quick else 5)
    target.add("memory after the load", target.server.process.rss_mb(), "MB")
