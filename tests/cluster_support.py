"""Bases that workers of a cluster can import, and which tell what they did."""

import os
import signal
import time
import warnings

from sklearn.linear_model import SGDClassifier

N_FITS = 0  # of this process


def count_fits():
    """Return how many fits this process has made since it was asked last."""
    global N_FITS
    n_fits, N_FITS = N_FITS, 0
    return n_fits


class Counted(SGDClassifier):
    """Count the fits of its process."""

    def __init__(self, random_state=None):
        super().__init__(random_state=random_state)

    def fit(self, X, y, **params):
        """Fit, and count it."""
        global N_FITS
        N_FITS += 1
        self.act(len(y))
        return super().fit(X, y, **params)

    def act(self, n_rows):
        """Do nothing else."""


class Fatal(Counted):
    """Kill the process: always or, if `mark` is a file, at the first fit of all."""

    def __init__(self, mark=None, random_state=None):
        super().__init__(random_state=random_state)
        self.mark = mark

    def act(self, n_rows):
        """Kill the process."""
        time.sleep(0.05)
        try:
            if self.mark is not None:
                os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class Slow(Counted):
    """Take a while."""

    def act(self, n_rows):
        """Sleep."""
        time.sleep(0.3)


class Noisy(Counted):
    """Warn at each fit."""

    def act(self, n_rows):
        """Warn."""
        warnings.warn("odd rows", UserWarning, stacklevel=2)


class Fussy(Counted):
    """Refuse to be trained on fewer rows than it is told."""

    def __init__(self, least=0, random_state=None):
        super().__init__(random_state=random_state)
        self.least = least

    def act(self, n_rows):
        """Raise if there are too few rows."""
        if n_rows < self.least:
            raise ValueError("too few rows")
