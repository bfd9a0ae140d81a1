"""JWKS and discovery, beside nginx with the same bytes and the same headers."""

import statistics

from bench import SQLITE, Bench, connections_of, running
from figures import Figure
from load import Request, multiplexed, warmed, write_requests
from servers import Nginx, Postgres, Server

DOCUMENTS = {"JWKS": "/.well-known/jwks", "discovery": "/.well-known/openid-configuration"}


def measure(bench: Bench, postgres: Postgres) -> None:
    with (bench.part("Documents"),
          running(bench.server(SQLITE, "RS256", postgres)) as server):
        answers = {path: server.get(path)[1:] for path in DOCUMENTS.values()}
        with running(Nginx(bench.new_path("nginx"), answers)) as nginx:
            for name, path in DOCUMENTS.items():
                beside(bench, name, path, server, nginx)


def beside(bench: Bench, name: str, path: str, server: Server, nginx: Nginx) -> None:
    requests = write_requests(bench.new_path(name), [Request(path)])
    for connections in bench.connections:
        ours: list[float] = []
        theirs: list[float] = []
        # By turns, so that a slow moment of the machine meets both.
        for _ in range(bench.rounds):
            for url, rates in ((server.url, ours), (nginx.url, theirs)):
                rate = warmed(url, requests, connections, bench.seconds / 2, threads=2)
                rates.append(rate.per_second)
        reached, there = statistics.median(ours), statistics.median(theirs)
        bench.results.add(Figure(
            "Documents", f"{name}, {connections_of(connections)}", reached, "answers/s",
            ratio=reached / there, to="nginx", wanted=0.9 if name == "JWKS" else None,
            note=f"nginx {there:,.0f} answers/s"))
    bench.results.add(Figure("Documents", f"{name}, HTTP/2, 8 connections of 16",
                             multiplexed(server.url, Request(path), bench.seconds), "answers/s"))
