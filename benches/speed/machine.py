"""The machine, as a result tells it: enough to compare with, nothing that says whose it is."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path


def describe(root: Path) -> dict[str, str]:
    """What a figure depends on besides the program."""
    return {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory_gb():.0f} GB",
        "system": system(),
        "kernel": platform.release(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(root),
    }


def slug() -> str:
    """A short name of this kind of machine, for file names."""
    model = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*", " ", cpu_model())
    words = re.findall(r"[A-Za-z0-9.]+", model)[:4]
    return "-".join([f"{os.cpu_count()}x", *words]).lower()


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return platform.system()


def commit(root: Path) -> str:
    """Short, with a + when files have changed since."""
    asked = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def version_of(command: list[str]) -> str:
    """The version that a program tells, wherever it writes it."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?\w?", answer.stdout + answer.stderr)
    return found.group(0) if found else "unknown"
