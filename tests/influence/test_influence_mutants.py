"""The laws have teeth: wrong ways to forget are caught by them."""

from dataclasses import replace

import numpy as np
import pytest
from influence_cases import fit_anew, get_vector, make_case, make_data

from skunlearn._data.rows import Erasure
from skunlearn.exceptions import UnlearningQualityWarning
from skunlearn.influence import _classifier
from skunlearn.influence import _forget as _removal
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers import refine as _updates
from skunlearn.influence._state import Change, State

X, Y = make_data()
MARKER = 0.123456789012345


def forget_nothing(monkeypatch):
    """Rows are overwritten, and the parameters stay."""
    monkeypatch.setattr(
        _classifier, "remove", lambda state, slots: Change(state, "patch")
    )


def forget_one_row_too_few(monkeypatch):
    """The last row of a request stays in the parameters."""
    remove = _removal.remove
    monkeypatch.setattr(
        _classifier, "remove", lambda state, slots: remove(state, slots[:-1])
    )


def overwrite_nothing(monkeypatch):
    """The parameters are right, and the rows are still there."""
    monkeypatch.setattr(Erasure, "carry_out", lambda self: None)


def step_half_as_far(monkeypatch):
    """Steps are too short, and nothing follows them."""

    def solve(*arguments):
        return _updates.solve_with(*arguments) / 2

    monkeypatch.setattr(_removal, "solve_with", solve)
    monkeypatch.setattr(Settings, "goal", np.inf)


def keep_the_weight_sums(monkeypatch):
    """What depends on the number of rows does not hear of the removal."""
    subtract = State.subtract

    def mutant(state, rows):
        return replace(
            subtract(state, rows), weight_sums=state.optimum.local.weight_sums
        )

    monkeypatch.setattr(State, "subtract", mutant)
    monkeypatch.setattr(Settings, "goal", np.inf)


MUTANTS = [
    forget_nothing,
    forget_one_row_too_few,
    overwrite_nothing,
    step_half_as_far,
    keep_the_weight_sums,
]


def check_laws():
    """Law 7, and parameters as after training anew, where these depend on sums."""
    for name in ("balanced", "sgd_log"):
        rows = X.copy()
        rows[30] = MARKER
        classifier = make_case(name).fit(rows, Y).forget([3, 31, 30])
        assert classifier.forgotten_indices_.tolist() == [3, 30, 31]
        fresh = fit_anew(classifier, rows, Y)
        np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-6)
        assert MARKER not in classifier._state.rows.data.X


def test_the_original_passes():
    """Without a mutation nothing is caught."""
    check_laws()


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_mutants_are_caught(mutate, monkeypatch):
    """Each mutant breaks a law, or is caught by the classifier itself."""
    mutate(monkeypatch)
    with pytest.raises((AssertionError, UnlearningQualityWarning)):
        check_laws()
