"""Files and functions stay short, and folders small."""

import runpy
from pathlib import Path

import pytest

NUMBERS = Path(__file__).parent.parent / "benchmarks" / "house_numbers.py"
HOUSE = runpy.run_path(str(NUMBERS))


@pytest.mark.parametrize(
    "name",
    [
        "modules in a folder",
        "lines of a file",
        "lines of a function",
        "median lines of a function",
    ],
)
def test_limits(name):
    """The limits that `benchmarks/house_numbers.py` prints beside the numbers."""
    assert HOUSE["measure_files"]()[name] <= HOUSE["LIMITS"][name]
