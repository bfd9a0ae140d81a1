"""What was measured: figures in groups, and where they are kept."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Failed(Exception):
    """A measurement could not be made, or an answer was wrong."""


@dataclass
class Figure:
    """One number, and what it is held against."""

    group: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    to: str = ""
    # The least `ratio` (or the most `value`, if `at_most`) that is wanted.
    wanted: float | None = None
    at_most: bool = False
    goal: float | None = None
    # Of what `openssl speed` reaches, where `ratio` is to something else.
    of_limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is as wanted; nothing if nothing is."""
        if self.wanted is None:
            return None
        held = self.value if self.ratio is None else self.ratio
        return held <= self.wanted if self.at_most else held >= self.wanted


@dataclass
class Results:
    """All figures of one run, told as they come."""

    tell: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    # What was measured while others had so much of the processor.
    disturbed: dict[str, float] = field(default_factory=dict)
    setup: dict[str, str] = field(default_factory=dict)

    def add(self, figure: Figure) -> Figure:
        self.figures.append(figure)
        ratio = "" if figure.ratio is None else f" ({figure.ratio:.3f} of {figure.to})"
        self.tell(f"  {figure.name}: {amount(figure.value)} {figure.unit}{ratio}")
        return figure

    def fail(self, what: str) -> None:
        self.failures.append(what)
        self.tell(f"  FAILED: {what}")

    def find(self, group: str, name: str) -> Figure | None:
        matches = (f for f in self.figures if (f.group, f.name) == (group, name))
        return next(matches, None)

    def write(self, path: Path, machine: dict[str, str]) -> None:
        document = {
            "machine": machine,
            "setup": self.setup,
            "figures": [asdict(figure) | {"met": figure.met} for figure in self.figures],
            "disturbed": self.disturbed,
            "failures": self.failures,
        }
        path.write_text(json.dumps(document, indent=1) + "\n")


def amount(value: float) -> str:
    """Three figures or more, with thousands apart; a count as it is."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
