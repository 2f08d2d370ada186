"""Reweighting: least changes, within their bounds, that make up for a removal."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from skunlearn.influence._methods.reweighting import reweight


def make_case(seed, kind, n):
    """Return contributions and returns: unrelated, alike, with ties, far apart."""
    rng = np.random.default_rng(seed)
    c, q = rng.normal(size=(2, n))
    if kind == "alike":
        q = c + 0.3 * q
    elif kind == "ties":
        c, q = np.round(c), np.round(q)
    elif kind == "scales":
        c, q = c * 10.0 ** rng.integers(-3, 3, n), q * 10.0 ** rng.integers(-3, 3, n)
    elif kind == "proportional":
        q = c * rng.choice([1.0, 1 + 1e-9, 2.0], n)
    return c, q


@st.composite
def cases(draw):
    """Return the arguments of a request, up to 1.2 times what is in reach."""
    kinds = st.sampled_from(["unrelated", "alike", "ties", "scales", "proportional"])
    c, q = make_case(draw(st.integers(0, 999)), draw(kinds), draw(st.integers(1, 20)))
    largest = np.abs(q).max() or 1.0
    upper = draw(st.sampled_from([0.0, 0.3, 1.0, 10.0]))
    share = draw(st.sampled_from([1e-9, 0.01, 0.1, 0.4, 0.9, 1.0, 1.2]))
    return (
        c,
        share * np.maximum(upper * c, -c).sum(),
        {
            "returns": q,
            "returned": draw(st.sampled_from([0.01, 0.3, 3.0])) * largest,
            "max_weight": upper,
            "max_reabsorption": draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        },
    )


def get_reach(c, returns, returned, max_weight, max_reabsorption, **_):
    """Return the most that bounds and cap allow, from a linear program."""
    size = np.abs(c).max() or 1.0
    cap = {"A_ub": [returns], "b_ub": [max_reabsorption * returned]}
    cap = cap if max_reabsorption < 1 else {}
    solved = linprog(-c / size, bounds=(-1, max_weight), **cap)
    return -solved.fun * size


def measure_kkt(x, c, returns, max_weight, max_reabsorption, **_):
    """Return how far x is from clip(mu c - nu q), whatever mu and nu >= 0."""
    size = [np.abs(v).max() or 1.0 for v in (c, returns)]
    A = np.column_stack([c / size[0], -returns / size[1]])
    low = np.where(x < -1 + 1e-9, -np.inf, x)
    high = np.where(x > max_weight - 1e-9, np.inf, x)
    both = np.vstack([A, -A])
    limits = np.concatenate([high, -low])
    finite = np.isfinite(limits)
    if not finite.any():
        return 0.0
    both = np.column_stack([both, -np.ones(len(both))])[finite]
    solved = linprog(
        [0, 0, 1], both, limits[finite], bounds=[(None, None), (0, None), (0, None)]
    )
    return solved.x[2]


def get_slack(q, x):
    """Return what rounding may make of a product."""
    return 1e-9 * np.linalg.norm(q) * np.linalg.norm(x)


@given(cases())
def test_bounds_are_kept(case):
    """Both of them and the cap, also where too much is wanted; no more is reached."""
    c, b, settings = case
    found = reweight(c, b, **settings)
    x, q, rho = found.changes, settings["returns"], settings["max_reabsorption"]
    assert x.min() >= -1 - 1e-12
    assert x.max() <= settings["max_weight"] + 1e-12
    if rho < 1:
        assert q @ x <= rho * settings["returned"] + get_slack(q, x)
    assert found.reached <= b + get_slack(c, x)
    assert found.reached == pytest.approx(c @ x)
    assert found.reabsorbed == pytest.approx(q @ x / settings["returned"])
    assert found.wanted == b


@given(cases())
def test_what_can_be_reached_is_reached(case):
    """All that is wanted, or else as much as a linear program finds."""
    c, b, settings = case
    found = reweight(c, b, **settings)
    reach = get_reach(c, **settings)
    slack = 1e-9 * np.abs(c).sum()  # the program's own: it may find less than nothing
    assert found.reached == pytest.approx(min(b, reach), rel=1e-7, abs=slack)
    off = slack + 1e-7 * b
    assert found.shortfall == pytest.approx(max(b - reach, 0), rel=1e-6, abs=off)


@given(cases())
def test_no_other_changes_are_less(case):
    """The conditions of Karush, Kuhn and Tucker hold; a cap with room is no cap."""
    c, b, settings = case
    assume(1e-9 < b < (1 - 1e-6) * get_reach(c, **settings))
    found = reweight(c, b, **settings)
    assert measure_kkt(found.changes, c, **settings) < 1e-6
    room = settings["max_reabsorption"] - found.reabsorbed
    if room > 1e-6:
        uncapped = reweight(c, b, **settings | {"max_reabsorption": 1.0})
        np.testing.assert_allclose(found.changes, uncapped.changes, atol=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_as_a_general_solver_finds(seed, share):
    """Sequential quadratic programming, of few rows."""
    c, q = make_case(seed, "alike", 8)
    b = share * np.abs(c).sum()
    cap = {"returns": q, "returned": 1.0, "max_reabsorption": 0.1}
    found = reweight(c, b, **cap)
    solved = minimize(
        lambda x: x @ x / 2,
        np.zeros(8),
        jac=lambda x: x,
        bounds=[(-1, 1)] * 8,
        constraints=[
            {"type": "eq", "fun": lambda x: c @ x - b, "jac": lambda _: c},
            {"type": "ineq", "fun": lambda x: 0.1 - q @ x, "jac": lambda _: -q},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    if solved.success:
        np.testing.assert_allclose(found.changes, solved.x, atol=1e-5)
    else:
        assert found.shortfall > 0


@given(st.integers(0, 99), st.floats(0.01, 0.99))
def test_one_constraint_by_bisection(seed, share):
    """To rounding, contributions of any scale; bisection is slow but plain."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=50) * 10.0 ** rng.integers(-6, 6, 50)
    b = share * np.abs(c).sum()

    def place(mu):
        return np.clip(mu * c, -1, 1)

    low, high = 0.0, 1e12
    for _ in range(200):
        mu = (low + high) / 2
        low, high = (mu, high) if c @ place(mu) < b else (low, mu)
    found = reweight(c, b)
    assert found.reached == pytest.approx(b, rel=1e-12)
    np.testing.assert_allclose(found.changes, place(high), atol=1e-8)


@given(cases(), st.sampled_from([1e-290, 1e-12, 1e-3, 1e9, 1e290]))
def test_units_do_not_matter(case, unit):
    """Neither the criterion's nor those of what is put back."""
    c, b, settings = case
    assume(b < (1 - 1e-6) * get_reach(c, **settings))
    x = reweight(c, b, **settings).changes
    scaled = settings | {
        "returns": settings["returns"] * unit,
        "returned": settings["returned"] * unit,
    }
    close = {"rtol": 1e-6, "atol": 1e-7}
    np.testing.assert_allclose(
        reweight(c * unit, b * unit, **settings).changes, x, **close
    )
    np.testing.assert_allclose(reweight(c, b, **scaled).changes, x, **close)


@given(cases())
def test_a_larger_cap_never_reaches_less(case):
    """And needs no more changes where all is reached anyway."""
    c, b, settings = case
    found = [
        reweight(c, b, **settings | {"max_reabsorption": rho})
        for rho in (0.0, 0.05, 0.3, 0.99, 1.0)
    ]
    slack = 1e-9 * np.abs(c).sum()
    assert (np.diff([f.reached for f in found]) >= -slack).all()
    costs = [f.changes @ f.changes / 2 for f in found]
    for i in range(4):
        if found[i].shortfall <= min(slack, 1e-9 * abs(b)):
            assert costs[i + 1] <= costs[i] * (1 + 1e-6) + 1e-9


@given(cases())
def test_no_cap_of_zero_is_passed(case):
    """Then the reweighting as a whole puts nothing back."""
    c, b, settings = case
    found = reweight(c, b, **settings | {"max_reabsorption": 0.0})
    slack = get_slack(settings["returns"], found.changes)
    assert found.reabsorbed * settings["returned"] <= slack


@given(cases(), st.sampled_from([0.0, 1e-300, 1.0, np.inf]))
def test_a_welcome_removal_changes_nothing(case, size):
    """To undo a gain would harm the model on purpose (one-sided rule)."""
    c, _, settings = case
    found = reweight(c, -size, **settings)
    assert not found.changes.any()
    assert (found.reached, found.wanted, found.reabsorbed) == (0, 0, 0)


@pytest.mark.parametrize("q", [None, np.zeros(2), np.array([-1.0, 1.0])])
@pytest.mark.parametrize(
    "c", [np.zeros(2), np.array([1e-320, 0]), np.array([1e300, 0])]
)
@pytest.mark.parametrize("b", [1e-320, 1.0, 1e300])
@pytest.mark.parametrize("upper", [0.0, 1.0])
def test_extremes(c, b, q, upper):
    """Nothing overflows, is divided by zero or undefined."""
    settings = {"returns": q, "returned": 1.0, "max_weight": upper}
    found = reweight(c, b, **settings)
    assert found.reached == pytest.approx(min(b, upper * c.sum()), rel=1e-6)
    empty = reweight(c[:0], b, **settings | {"returns": None if q is None else q[:0]})
    assert (len(empty.changes), empty.reached, empty.shortfall) == (0, 0, b)


def test_saturation_is_the_least_of_the_most():
    """Rows without a say stay as they are; rows of one price share what is left."""
    c, q = np.array([4.0, 1.0, 1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.0, -0.0, 0.0])
    without = reweight(c, 99.0)
    np.testing.assert_array_equal(without.changes, [1, 1, 1, -1, 0])
    assert without.shortfall == 92
    capped = reweight(c, 99.0, returns=q, returned=1.0, max_reabsorption=0.5)
    np.testing.assert_allclose(capped.changes, [1, -0.25, -0.25, -1, 0])
    assert capped.reabsorbed == pytest.approx(0.5)
    spent = reweight(c, 99.0, returns=c, returned=1.0, max_reabsorption=0.5)
    np.testing.assert_allclose(spent.changes, c * (0.5 / (c @ c)))
    # room comes from a row that has no other use
    cap = {"returned": 1.0, "max_reabsorption": 0.1}
    free = reweight([1.0, 0.0], 1.0, returns=[1.0, 2.0], **cap)
    np.testing.assert_allclose(free.changes, [1, -0.45])


def test_many_rows_with_far_tails():
    """A few rows decide: Newton steps alone would find none of them."""
    c, q = np.random.default_rng(0).standard_cauchy((2, 20000))
    b = 1e-6 * np.abs(c).sum()
    found = reweight(c, b, returns=q + c / 2, returned=0.0)
    assert found.reached == pytest.approx(b, rel=1e-9)
    assert abs((q + c / 2) @ found.changes) <= get_slack(q, found.changes)
