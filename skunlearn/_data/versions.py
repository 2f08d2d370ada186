"""The oldest versions of optional libraries with which rows can be forgotten."""

from functools import cache
from importlib.metadata import version

__all__ = ["check_version"]

# Older ones of polars keep the categories of forgotten rows, in pickles too. Those of
# the others were not tried.
_OLDEST = {"polars": (1, 35, 2), "pyarrow": (15,), "skorch": (1, 4), "torch": (2, 2)}


@cache
def check_version(name: str) -> None:
    """Raise ImportError if a library is too old to let its rows be forgotten."""
    installed, oldest = version(name), _OLDEST[name]
    if _parse(installed) < oldest:
        wanted = ".".join(map(str, oldest))
        raise ImportError(
            f"{name} {installed} is installed, and rows can be forgotten without a "
            f"trace only with {name} {wanted} or later. Upgrade {name}, or do without."
        )


def _parse(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, those before any that is no number."""
    numbers = []
    for part in text.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
