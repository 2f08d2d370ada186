"""Reweight the retained rows so that a removal keeps the criterion unchanged."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["Reweighting", "reweight"]

_EPS = float(np.finfo(float).eps)
_MAX_REACH = 1 - 1e-12  # share of what can be reached from which all of it is taken
_PARALLEL_RTOL = 1e-12  # share of a vector that rounding may have made
_MAX_PASSES = 100  # a handful is usual


@dataclass(frozen=True)
class Reweighting:
    """Changes of weights, and what they do to first order.

    Parameters
    ----------
    changes : ndarray of shape (n,)
        Relative changes: a weight w becomes w (1 + change). At least -1.
    reached : float
        What they take from the criterion, in its units.
    wanted : float
        What they were to take from it; 0 where the removal harms nothing.
    reabsorbed : float
        The share of the removal that they put back; negative where they add to it.
    """

    changes: np.ndarray
    reached: float
    wanted: float
    reabsorbed: float

    @property
    def shortfall(self) -> float:
        """Return what bounds and cap have left of what was wanted."""
        return max(self.wanted - self.reached, 0.0)


def reweight(
    contributions: np.ndarray,
    wanted: float,
    *,
    returns: np.ndarray | None = None,
    returned: float = 0.0,
    max_weight: float = 1.0,
    max_reabsorption: float = 0.25,
) -> Reweighting:
    """Return the least changes of weights that make up for a removal.

    With contributions c and returns q, the changes x minimise ||x||^2 / 2 subject to
    c x = `wanted`, -1 <= x <= `max_weight` and q x <= `max_reabsorption` `returned`.

    Parameters
    ----------
    contributions : ndarray of shape (n,)
        What removing each retained row, with its weight, adds to the criterion.
    wanted : float
        What the removal adds to the criterion. If negative, the removal is welcome
        and nothing changes: to undo it would harm the model on purpose.
    returns : ndarray of shape (n,), default=None
        How much of the removal is put back by doubling the weight of each row; None:
        there is no cap.
    returned : float, default=0.0
        The same, summed over the removed rows: all of the removal. Not negative.
    max_weight : float, default=1.0
        The largest change upwards, at least 0.
    max_reabsorption : float, default=0.25
        Share of the removal that may be put back; from 1 on there is no cap.

    Returns
    -------
    Reweighting
        The changes. Where `wanted` is out of reach, they are the least of those that
        reach most of it within bounds and cap.

    Notes
    -----
    The changes are clip(mu c - nu q, -1, `max_weight`) with multipliers mu, nu >= 0,
    which Newton steps between brackets find: exactly, for all is piecewise linear. The
    idea is that of PUMA: G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged
    Model Augmentation for Training Data Removal", AAAI 2022, :arxiv:`2203.00846`. The
    cap is ours.
    """
    c, b = np.asarray(contributions, dtype=float), max(float(wanted), 0.0)
    box = _Box(float(max_weight))
    share = 0.0
    with np.errstate(over="ignore", under="ignore"):
        changes = _equalise(c, b, box)
        if returns is not None:
            q, total = np.asarray(returns, dtype=float), max(float(returned), 0.0)
            if max_reabsorption < 1 and changes.any():
                changes = _cap(changes, c, b, q, max_reabsorption * total, box)
            share = float(q @ changes) / total if total else 0.0
        return Reweighting(changes, float(c @ changes), b, share)


class _Box(NamedTuple):
    """What each change is subject to by itself."""

    upper: float

    def place(self, t: np.ndarray) -> np.ndarray:
        """Return the changes for which t is the slope of the constraints, in t."""
        return np.clip(t, -1.0, self.upper, out=t)

    def is_free(self, x: np.ndarray) -> np.ndarray:
        """Return a mask of the changes that move with t."""
        return (x > -1) & (x < self.upper)

    def kinks(self) -> set[float]:
        """Return the values of t where a change starts or stops to move."""
        return {-1.0, self.upper}

    def extreme(self, slope: np.ndarray) -> np.ndarray:
        """Return the changes that go farthest in the direction of a slope."""
        return np.where(slope > 0, self.upper, np.where(slope < 0, -1.0, 0.0))


class _End(NamedTuple):
    """One end of a bracket: where, the changes there, and what they lack."""

    at: float
    x: np.ndarray | None = None
    gap: float = 0.0


def _between(low: _End, high: _End) -> tuple[np.ndarray, float]:
    """Return what has no gap, on the straight line between two ends."""
    if low.x is None or high.x is None:  # rounding: the one end is as good as it gets
        end = high if low.x is None else low
        assert end.x is not None
        return end.x, end.at
    share = low.gap / (low.gap - high.gap)
    return low.x + share * (high.x - low.x), low.at + share * (high.at - low.at)


def _scale(e: np.ndarray) -> float:
    """Return the largest magnitude."""
    return float(max(e.max(), -e.min())) if len(e) else 0.0


def _dot(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return a product, and what of it is rounding."""
    return float(a @ b), 4 * _EPS * float(np.sqrt((a @ a) * (b @ b)))


def _equalise(e: np.ndarray, target: float, box: _Box) -> np.ndarray:
    """Return the least x in the box with e x = target, or as near as x can get."""
    size = _scale(e)
    if not size or not target:
        return np.zeros(len(e))
    e, target = e / np.copysign(size, target), abs(target) / size
    s = target / float(e @ e)
    if s * e.max() <= box.upper and s * e.min() >= -1:
        return s * e
    x = box.extreme(e)
    if target >= _MAX_REACH * (e @ x):
        return x
    return _match(e, 0.0, target, box, s)[0]


def _match(
    e: np.ndarray, offset: np.ndarray | float, target: float, box: _Box, s: float
) -> tuple[np.ndarray, float]:
    """Return x = box.place(offset + s e) and s such that e x = target.

    Newton steps, which are exact once the kinks in between are passed; where they
    stall, on by ever more kinks.
    """
    low, high, last = _End(-np.inf), _End(np.inf), np.inf
    kinks, jump = None, 0
    for _ in range(_MAX_PASSES):
        x = box.place(s * e + offset)
        reached, rounding = _dot(e, x)
        gap = target - reached
        if abs(gap) <= rounding + 4 * _EPS * abs(target):
            return x, s
        low, high = (_End(s, x, gap), high) if gap > 0 else (low, _End(s, x, gap))
        free = e * box.is_free(x)
        slope = float(free @ free)
        s, stalled = s + (gap / slope if slope else np.inf), abs(gap) > last / 2
        last = abs(gap)
        if stalled or not low.at < s < high.at:
            kinks = _kinks(e, offset, box) if kinks is None else kinks
            kinks = kinks[(low.at < kinks) & (kinks < high.at)]
            if not len(kinks):
                break
            s, jump, last = _pick(kinks, jump, gap > 0), 64 * jump + 1, np.inf
    return _between(low, high)


def _kinks(e: np.ndarray, offset: np.ndarray | float, box: _Box) -> np.ndarray:
    """Return all s where a change in box.place(s e + offset) starts or stops."""
    moving = np.abs(e) > 1e-100  # less would only overflow
    offset, e = np.broadcast_to(offset, e.shape)[moving], e[moving]
    return np.concatenate([(kink - offset) / e for kink in box.kinks()])


def _pick(kinks: np.ndarray, jump: int, upwards: bool) -> float:
    """Return the kink that is `jump` from one end, but the median at most."""
    k = min(jump, len(kinks) // 2)
    k = k if upwards else len(kinks) - 1 - k
    return float(np.partition(kinks, k)[k])


def _cap(
    x: np.ndarray, c: np.ndarray, b: float, q: np.ndarray, room: float, box: _Box
) -> np.ndarray:
    """Return x, the best without the cap q x <= room, or else the best with it."""
    size, size_q = _scale(c), _scale(q)
    if not size_q:
        return x
    c, b, q, room = c / size, b / size, q / size_q, room / size_q
    back, rounding = _dot(q, x)
    if back <= room + rounding:
        return x
    cc, share, p = float(c @ c), 0.0, q
    for _ in range(2):  # once leaves rounding in p, which nu would magnify
        more = float(c @ p) / cc
        share, p = share + more, p - more * c
    if p @ p <= _PARALLEL_RTOL**2 * (q @ q):
        return _equalise(c, min(b, room / share), box)
    nu = (share * b - room) / float(p @ p)
    if nu >= 0:
        x = (b / cc) * c - nu * p
        if x.max() <= box.upper and x.min() >= -1:
            return x
    x = _saturate(c, q, room, box)
    if b >= _MAX_REACH * (c @ x):
        return x
    size_p = _scale(p)
    return _balance(c, b, p / size_p, (room - share * b) / size_p, box)


def _saturate(c: np.ndarray, q: np.ndarray, room: float, box: _Box) -> np.ndarray:
    """Return the least of those x for which c x is largest while q x <= room.

    Rows switch from one bound to the other, those first that lose least by it, until
    there is room; those of the last price share what is left to do.
    """
    x = box.extreme(c)
    excess = float(q @ x) - room
    if excess <= 0:
        return x
    candidates = np.flatnonzero((c * q > 0) | ((c == 0) & (q != 0)))
    prices = c[candidates] / q[candidates]
    order = np.argsort(prices)
    drops = q * (x - box.extreme(-q))
    k = int(np.searchsorted(np.cumsum(drops[candidates][order]), excess))
    price = prices[order[min(k, len(order) - 1)]]
    worth = c - price * q
    tied = np.abs(worth) <= _PARALLEL_RTOL * (np.abs(c) + price * np.abs(q))
    x = np.where(tied, 0.0, box.extreme(worth))
    x[tied] = _equalise(q[tied], room - float(q @ x), box)
    return x


def _balance(
    c: np.ndarray, b: float, p: np.ndarray, room: float, box: _Box
) -> np.ndarray:
    """Return the least x with c x = b and p x = room, both of which can be reached.

    Newton steps for nu, and for each of them mu is recomputed.
    """
    low, high, last, jump = _End(0.0), _End(np.inf), np.inf, 0
    nu, mu = 0.0, b / float(c @ c)
    for _ in range(_MAX_PASSES):
        x, mu = _match(c, -nu * p, b, box, mu)
        back, rounding = _dot(p, x)
        gap = back - room
        if abs(gap) <= rounding:
            return x
        low, high = (_End(nu, x, gap), high) if gap > 0 else (low, _End(nu, x, gap))
        if high.at <= (1 + 4 * _EPS) * low.at:
            break
        free = box.is_free(x)
        free_c, free_p = c * free, p * free
        cc = float(free_c @ free_c)
        ratio = float(free_c @ free_p) / cc if cc else 0.0  # by which mu follows nu
        rest = free_p - ratio * free_c
        slope = float(rest @ rest)
        flat = slope <= _PARALLEL_RTOL**2 * float(free_p @ free_p)
        step, stalled = np.inf if flat else gap / slope, abs(gap) > last / 2
        last = abs(gap)
        if stalled or not low.at < nu + step < high.at:
            kinks = np.empty(0)
            if jump % 3 < 2:
                along = ratio * c - p
                along[free & flat] = 0.0  # what is there is rounding
                kinks = _kinks(along, mu * c - nu * p, box)
                kinks = kinks[(low.at - nu < kinks) & (kinks < high.at - nu)]
            if len(kinks):
                step = _pick(kinks, 8**jump - 1, gap > 0)
            elif high.at < np.inf:
                step = float(np.sqrt(max(low.at, 1e-3 * high.at) * high.at)) - nu
            else:
                step = nu + 1
            jump, last = jump + 1, np.inf
        nu, mu = nu + step, mu + ratio * step
    return _between(low, high)[0]
