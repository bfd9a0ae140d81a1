"""Measures runmint and writes what it finds; `script/bench` builds what it needs and calls it."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import documents
import growth
import machine
import mint
import overload
import peers
import replicas
import report
import soak
import startup
from bench import Bench, running
from figures import Results
from servers import Postgres

ROOT = Path(__file__).resolve().parents[2]


def speed(bench: Bench, postgres: Postgres) -> None:
    with bench.part("Start to ready"):
        startup.measure(bench, postgres)
    documents.measure(bench, postgres)
    mint.measure(bench, postgres)


PARTS: dict[str, Callable[[Bench, Postgres], None]] = {
    "speed": speed,
    "growth": growth.measure,
    "replicas": replicas.measure,
    "overload": overload.measure,
    "soak": soak.measure,
    "peers": peers.measure,
}


def main() -> int:
    arguments = parse()
    # As Ctrl-C does: whatever was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = Results(tell=lambda line: print(line, file=sys.stderr, flush=True))
    described = machine.describe(ROOT)
    results.setup = {
        "runmint": machine.version_of([str(arguments.binary), "--version"])
        + (", built before" if arguments.given else ", built from this commit"),
        "openssl": machine.version_of(["openssl", "version"]),
        "postgres": machine.version_of([str(arguments.postgres_bin / "postgres"), "--version"])
        + ", as installed: fsync, synchronous_commit, full_page_writes on",
        "load": "wrk " + machine.version_of(["wrk", "-v"]) + ", h2load "
        + machine.version_of(["h2load", "--version"]) + ", on the same machine",
        "nginx": machine.version_of(["nginx", "-v"]),
    }
    if arguments.quick:
        results.setup["quick"] = "a short look: not to be quoted"
    # Not in /tmp, which may be memory: what is durable costs what it costs.
    with tempfile.TemporaryDirectory(prefix="runmint-bench.", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(arguments.binary, arguments.bare, arguments.postgres_bin,
                      arguments.target, Path(folder), arguments.quick, arguments.seconds, results)
        with running(bench.postgres()) as postgres:
            for part in arguments.parts:
                with bench.part(part, watched=part == "soak"):
                    PARTS[part](bench, postgres)
    text = report.table(results, described)
    print(text, end="")
    keep(arguments, results, described, text)
    return 1 if results.failures else 0


def keep(arguments: argparse.Namespace, results: Results, described: dict[str, str],
         text: str) -> None:
    folder = arguments.results
    folder.mkdir(parents=True, exist_ok=True)
    date = described["date"].split()[0]
    whole = set(arguments.parts) == set(PARTS)
    what = "all" if whole else "-".join(arguments.parts)
    name = f"{date}-{machine.slug()}-{what}"
    results.write(folder / f"{name}.json", described)
    (folder / f"{name}.txt").write_text(text)
    print(f"kept as {name}.txt and .json", file=sys.stderr)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--bare", type=Path, required=True)
    parser.add_argument("--postgres-bin", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--given", action="store_true", help="the binary was built elsewhere")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=int, default=600)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
