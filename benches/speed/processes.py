"""Programs that are started, watched through /proc, and ended by their own id."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from figures import Failed

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Process:
    """A child that runs until it is told to end."""

    def __init__(self, command: list[str], log: Path, *, env: dict[str, str] | None = None,
                 user: str | None = None, cwd: Path | None = None) -> None:
        self.log = log
        self.name = Path(command[0]).name
        with log.open("ab") as out:
            self._child = subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=cwd,
                                           user=user, group=user,
                                           extra_groups=[] if user else None)
        self.pid = self._child.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> float:
        """How long that took."""
        started = time.perf_counter()
        while not ready():
            if self._child.poll() is not None:
                raise Failed(f"{self.name} ended at once: {self.last_words()}")
            if time.perf_counter() - started > seconds:
                raise Failed(f"{self.name} was not ready in {seconds} s: {self.last_words()}")
            time.sleep(0.002)
        return time.perf_counter() - started

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-600:]

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self._child.poll() is not None:
            return
        self._child.send_signal(sign)
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def rss_mb(self) -> float:
        """Resident memory, all of it, also the pages of the program itself."""
        return resident_mb(self.pid)

    def rss_mb_of_tree(self) -> float:
        """The same, of its children as well."""
        return sum(resident_mb(pid) for pid in tree(self.pid))

    def cpu(self) -> float:
        """Seconds of processor time, of children that have ended as well."""
        return cpu_of_tree(self.pid)

    def cpu_of_threads(self, prefix: str) -> dict[str, float]:
        """Seconds of processor time of each thread whose name begins so, by its id."""
        seconds: dict[str, float] = {}
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                name, fields = parse_stat(stat.read_text())
                if name.startswith(prefix):
                    seconds[stat.parent.name] = (int(fields[11]) + int(fields[12])) / TICKS
        return seconds


def parse_stat(text: str) -> tuple[str, list[str]]:
    """The name and the fields after it (proc(5): the third and following)."""
    name, rest = text.split("(", 1)[1].rsplit(")", 1)
    return name, rest.split()


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def cpu_of_tree(pid: int) -> float:
    """Of a process and all below it; of those that ended, what was left to their parent."""
    total = 0.0
    for _ in range(20):
        members, total = set(tree(pid)), 0.0
        for member in members:
            with contextlib.suppress(OSError):
                _, fields = parse_stat(Path(f"/proc/{member}/stat").read_text())
                total += sum(int(field) for field in fields[11:15]) / TICKS
        # One that ends in between would be counted twice or not at all.
        if members == set(tree(pid)):
            break
    return total


def tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def cpu_of_all() -> float:
    """Seconds that all cores were at work, for whomever, or were taken away by the hypervisor."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, irq, softirq, stolen = (int(field) for field in fields)
    return (user + nice + system + irq + softirq + stolen) / TICKS


class Others:
    """How much of the processor was not ours: other programs', or other machines'."""

    def __init__(self) -> None:
        self._started, self._all, self._own = self._look()

    def share(self) -> float:
        """Of all cores' time since this was made."""
        ended, everything, own = self._look()
        others = (everything - self._all) - (own - self._own)
        return max(0.0, others / ((ended - self._started) * (os.cpu_count() or 1)))

    @staticmethod
    def _look() -> tuple[float, float, float]:
        return time.monotonic(), cpu_of_all(), cpu_of_tree(os.getpid())


@dataclass
class Sampler:
    """Looks at a value again and again, beside what is measured."""

    look: Callable[[], float]
    every: float = 0.25
    values: list[tuple[float, float]] = field(default_factory=list)

    def __enter__(self) -> "Sampler":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self.values.append((time.monotonic(), self.look()))
            self._over.wait(self.every)

    def highest(self) -> float:
        return max(value for _, value in self.values)
