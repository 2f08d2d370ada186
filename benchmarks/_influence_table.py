"""Lines of at most 120 characters: cells in columns, and rows that have targets."""

from collections.abc import Sequence

from _timing import Row, format_seconds

__all__ = [
    "format_cell",
    "format_cells",
    "format_error",
    "format_row",
    "format_row_header",
]

_COLUMNS = "  {:<46}  {:<15}  {:<21}  {:>11}  {:<9}  {}"
_NAMES = ("", "skunlearn", "alternative", "result", "target", "")


def format_row(row: Row) -> str:
    """Lay out a row of what was measured, of the alternative, and of the target."""
    value = f"{row.value:.3g} {row.unit}"
    verdict = "MISSED" if row.is_missed else "met" if row.target else ""
    cells = (row.case, row.ours, row.other, value, row.target, verdict)
    return _COLUMNS.format(*cells).rstrip()


def format_row_header() -> str:
    """Return the names of these columns."""
    return _COLUMNS.format(*_NAMES).rstrip()


def format_cells(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Lay out cells, the first to the left and the others to the right."""
    first, *others = zip(cells, widths, strict=True)
    parts = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
    return "  " + "  ".join(parts).rstrip()


def format_cell(seconds: float, error: float, n_steps: int | None = None) -> str:
    """Return seconds, an error, and in brackets a number of steps, without spaces."""
    time = format_seconds(seconds).replace(" ", "")
    steps = "" if n_steps is None else f"({n_steps})"
    return f"{time}{steps} {format_error(error)}"


def format_error(error: float) -> str:
    """Return an error with one digit."""
    digit, exponent = f"{error:.0e}".split("e")
    return f"{digit}e{int(exponent)}"
