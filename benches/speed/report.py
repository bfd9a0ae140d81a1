"""The table that people read."""

from itertools import groupby

from figures import Figure, Results, amount

HEADINGS = ("", "value", "unit", "ratio", "to", "of openssl", "wanted", "")


def table(results: Results, machine: dict[str, str]) -> str:
    """Machine, setup, and the figures by group."""
    lines = [f"{key + ':':<10} {value}" for key, value in machine.items()]
    lines += [f"{key + ':':<10} {value}" for key, value in results.setup.items()]
    rows = [(figure.group, row(figure)) for figure in results.figures]
    widths = [max([len(r[column]) for _, r in rows] + [len(heading)]) if rows else 0
              for column, heading in enumerate(HEADINGS)]
    for group, members in groupby(rows, key=lambda pair: pair[0]):
        lines += ["", group, aligned(HEADINGS, widths)]
        lines += [aligned(cells, widths) for _, cells in members]
    lines += notes(results.figures)
    lines += verdict(results)
    return "\n".join(lines) + "\n"


def row(figure: Figure) -> tuple[str, ...]:
    sign = "≤" if figure.at_most else "≥"
    wanted = "" if figure.wanted is None else f"{sign} {trimmed(figure.wanted)}"
    if figure.goal is not None:
        wanted += f" (goal {trimmed(figure.goal)})"
    return (
        figure.name,
        amount(figure.value),
        figure.unit,
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        figure.to,
        "" if figure.of_limit is None else f"{figure.of_limit:.3f}",
        wanted,
        {None: "", True: "yes", False: "NO"}[figure.met],
    )


def trimmed(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """Names and words to the left, numbers to the right."""
    right = (1, 3, 5)
    padded = (cell.rjust(width) if column in right else cell.ljust(width)
              for column, (cell, width) in enumerate(zip(cells, widths, strict=True)))
    return ("  " + "  ".join(padded)).rstrip()


def notes(figures: list[Figure]) -> list[str]:
    """What is the same of several figures is said once."""
    told: dict[str, str] = {}
    for figure in figures:
        told.setdefault(figure.note, f"  {figure.group}, {figure.name}: {figure.note}")
    told.pop("", None)
    return ["", "Notes", *told.values()] if told else []


def verdict(results: Results) -> list[str]:
    judged = [figure for figure in results.figures if figure.met is not None]
    missed = [f"{f.group}, {f.name}" for f in judged if not f.met]
    lines = ["", f"{len(judged) - len(missed)} of {len(judged)} are as wanted"]
    if missed:
        lines += ["not as wanted:", *(f"  {name}" for name in missed)]
    if results.disturbed:
        lines += ["disturbed, so not to be quoted:",
                  *(f"  {name}: {share:.0%} of the processor was not ours"
                    for name, share in results.disturbed.items())]
    if results.failures:
        lines += ["FAILED:", *(f"  {what}" for what in results.failures)]
    return lines
