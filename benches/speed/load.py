"""Load from wrk and h2load, and what they say of it."""

import base64
import json
import math
import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from figures import Failed

SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Request:
    """What is sent; a body, JSON or a form, makes it a POST."""

    path: str
    token: str = ""
    body: str = ""
    # What the token that comes back must say.
    subject: str = ""
    scheme: str = "Bearer"

    @property
    def authorization(self) -> str:
        return f"{self.scheme} {self.token}" if self.token else ""

    @property
    def content_type(self) -> str:
        return "application/json" if self.body[0] == "{" else "application/x-www-form-urlencoded"

    def line(self) -> str:
        kind = self.content_type if self.body else ""
        return "\t".join((self.path, self.authorization, kind, self.body))

    def with_basic(self, name: str, password: str) -> "Request":
        """The same, by a client that shows its secret as RFC 6749 section 2.3.1 has it."""
        token = base64.b64encode(f"{name}:{password}".encode()).decode()
        return replace(self, token=token, scheme="Basic")


@dataclass(frozen=True)
class Rate:
    """What came of a load."""

    per_second: float
    requests: int
    seconds: float
    # Processor seconds of the load generator itself.
    cpu: float
    p50_ms: float = 0
    p99_ms: float = 0
    p999_ms: float = 0


def run(command: list[str]) -> tuple[str, float]:
    """What a program writes, and the processor seconds that it took."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if child.returncode != 0:
        raise Failed(f"{command[0]} failed: {text[-400:]}")
    return text, used.ru_utime + used.ru_stime


def write_requests(path: Path, requests: list[Request]) -> Path:
    path.write_text("".join(request.line() + "\n" for request in requests))
    return path


def wrk(url: str, requests: Path, connections: int, seconds: float, threads: int = 1) -> Rate:
    """As many requests as are answered, round robin over the file. Any wrong answer fails it."""
    command = ["wrk", "--threads", str(min(threads, connections)), "--connections",
               str(connections), "--duration", f"{max(1, round(seconds))}s", "--timeout", "30s",
               "--script", str(SCRIPT), url, "--", str(requests)]
    text, cpu = run(command)
    told = json.loads(text.strip().splitlines()[-1])
    wrong = {kind: count for kind, count in told["errors"].items() if count}
    if wrong or not told["requests"]:
        raise Failed(f"wrk at {connections} connections: {told['requests']} requests, {wrong}")
    seconds = told["duration_us"] / 1e6
    return Rate(told["requests"] / seconds, told["requests"], seconds, cpu,
                told["p50_us"] / 1000, told["p99_us"] / 1000, told["p999_us"] / 1000)


def warmed(url: str, requests: Path, connections: int, seconds: float, threads: int = 1) -> Rate:
    """The same, after a third of it that does not count."""
    wrk(url, requests, connections, seconds / 3, threads)
    return wrk(url, requests, connections, seconds, threads)


@dataclass(frozen=True)
class Logged:
    """One request in h2load's log."""

    start_us: int
    status: int
    took_us: int


def h2load(url: str, arguments: list[str], request: Request, log: Path | None = None) -> str:
    """What h2load writes."""
    command = ["h2load", *arguments]
    if request.token:
        command += ["--header", f"authorization: {request.authorization}"]
    if log:
        log.unlink(missing_ok=True)
        command += [f"--log-file={log}"]
    text, _ = run([*command, url + request.path])
    return text


def read_log(log: Path) -> list[Logged]:
    lines = (line.split("\t") for line in log.read_text().splitlines())
    return [Logged(*(int(cell) for cell in cells[:3])) for cells in lines]


def multiplexed(url: str, request: Request, seconds: float) -> float:
    """Requests a second over HTTP/2: 8 connections with 16 requests each under way."""
    text = h2load(url, ["--clients=8", "--max-concurrent-streams=16",
                        f"--duration={max(1, round(seconds))}", "--warm-up-time=1"], request)
    counts = counted(text, "requests:")
    if counts["failed"] or counts["errored"] or counts["timeout"] or not counts["succeeded"]:
        raise Failed(f"h2load over HTTP/2: {counts}")
    return counts["succeeded"] / max(1, round(seconds))


def counted(text: str, heading: str) -> dict[str, int]:
    """h2load's line of counts: `requests: 10 total, 10 started, …`."""
    line = next((line for line in text.splitlines() if line.startswith(heading)), "")
    pairs = [part.split() for part in line.removeprefix(heading).split(",") if part.strip()]
    counts = {pair[1]: int(pair[0]) for pair in pairs}
    if not counts:
        raise Failed(f"h2load says no {heading!r}: {text[-400:]}")
    return counts


def paced(url: str, request: Request, per_second: float, seconds: float, log: Path,
          connections: int = 64) -> list[Logged]:
    """So many requests a second, evenly, whatever the answers take."""
    each = per_second / connections
    apart_ms = apart(1000 / each, connections)
    arguments = ["--h1", f"--clients={connections}", f"--requests={round(per_second * seconds)}",
                 f"--rps={each:.3f}", "--rate=1", f"--rate-period={apart_ms}ms"]
    h2load(url, arguments, request, log)
    # The first connections alone are not the load.
    lines = read_log(log)
    begin = min(line.start_us for line in lines) + connections * apart_ms * 1000
    end = max(line.start_us for line in lines) - connections * apart_ms * 1000
    whole = [line for line in lines if begin <= line.start_us <= end]
    if not whole or any(line.status != 200 for line in lines):
        raise Failed(f"paced load: {sum(line.status != 200 for line in lines)} wrong answers")
    reached = len(whole) / (end - begin) * 1e6
    if not 0.9 < reached / per_second < 1.1:
        raise Failed(f"paced load: {reached:,.0f} requests/s instead of {per_second:,.0f}")
    return whole


def apart(pause_ms: float, connections: int) -> int:
    """How many milliseconds after one another connections start, so that they do not ask at the
    same moments ever after: what spreads them best over the pause between two requests of each."""

    def closest(step: int) -> float:
        moments = sorted(number * step % pause_ms for number in range(connections))
        return min(later - sooner for sooner, later in pairwise(moments))

    return max(range(1, 25), key=closest)


def percentile_ms(lines: list[Logged], share: float) -> float:
    """How long the slowest but `1 - share` took."""
    taken = sorted(line.took_us for line in lines)
    return taken[min(len(taken) - 1, math.ceil(len(taken) * share) - 1)] / 1000
