"""What all measurements share: how long, with which programs, where."""

import os
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from figures import Failed, Results
from processes import Others
from servers import Postgres, Server

SQLITE, POSTGRES = "SQLite", "Postgres"
# SQLite works in threads of the server's own.
SQLITE_THREADS = "sqlx-sqlite"
# The most of the processor that others may have meanwhile before it is said.
QUIET = 0.05


class Stops(Protocol):
    """What was started and has to end."""

    def stop(self) -> None: ...


Running = TypeVar("Running", bound=Stops)


@dataclass
class Bench:
    """One run of the program."""

    binary: Path
    bare: Path
    postgres_bin: Path
    # Where what was built and installed lies.
    target: Path
    # On a disk: what is durable costs what it costs.
    folder: Path
    quick: bool
    # Of the soak.
    soak_seconds: int
    results: Results
    _made: int = 0

    @property
    def seconds(self) -> float:
        """Of one look at a rate."""
        return 1 if self.quick else 5

    @property
    def rounds(self) -> int:
        """How often one is looked at, by turns with what it is held against: the machine has slow
        moments. What is told is the median."""
        return 1 if self.quick else 3

    @property
    def turns(self) -> int:
        """How often what is judged by its share of the limit is looked at, in short looks, each between
        two still shorter ones at the limit: a machine that others share gets faster and slower from one
        second to the next, by a fifth."""
        return 1 if self.quick else 7

    @property
    def look_seconds(self) -> float:
        """Of one of these. wrk counts no request that is under way when it ends, so that in two seconds
        256 connections would lose a twenty-fifth of a rate of 3,000."""
        return 1 if self.quick else 5

    @property
    def limit_seconds(self) -> int:
        return 1 if self.quick else 2

    @property
    def connections(self) -> tuple[int, ...]:
        return (1, 16, 64, 256)

    def new_path(self, what: str) -> Path:
        """A name in the folder that was not used before."""
        self._made += 1
        return self.folder / f"{self._made:03d}-{what}"

    @contextmanager
    def part(self, name: str, *, watched: bool = True) -> Iterator[None]:
        """What cannot be measured is said, and does not take the rest with it. So is what others
        disturbed, but where a part within or around this one is watched for that."""
        self.results.tell(name)
        others = Others()
        try:
            yield
        except (Failed, OSError) as error:
            self.results.fail(f"{name}: {error}")
        share = others.share()
        if watched and share > QUIET:
            self.results.disturbed[name] = share
            self.results.tell(f"  disturbed: {share:.0%} of the processor was not ours")

    def postgres(self) -> Postgres:
        return Postgres(self.postgres_bin, self.new_path("postgres"))

    def server(self, store: str, algorithm: str, postgres: Postgres) -> Server:
        """A new one, with an empty database."""
        url = postgres.url(postgres.database()) if store == POSTGRES else None
        return Server(self.binary, self.new_path(f"{store.lower()}-{algorithm.lower()}"), algorithm,
                      store=url)

    def microseconds(self, operation: str, algorithm: str) -> float:
        """What one signature, or one check of it, takes on a core when all cores make them."""
        command = [str(self.bare), operation, algorithm]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                   for _ in range(os.cpu_count() or 1)]
        told = [child.communicate()[0] for child in started]
        if any(child.returncode != 0 for child in started):
            raise Failed(f"bare {operation} {algorithm} failed")
        return statistics.mean(float(one) for one in told)


def connections_of(count: int) -> str:
    return f"{count} connection{'' if count == 1 else 's'}"


@contextmanager
def running(started: Running) -> Iterator[Running]:
    """Ends it, whatever happens meanwhile."""
    try:
        yield started
    finally:
        started.stop()
