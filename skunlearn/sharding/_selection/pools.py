"""Selection among many rows: dealt to pools by hash, greedy inside each.

What greedy selection costs grows with the rows times the square of the picks. So many
rows are dealt to pools by their hash, and each pool picks its share as if it were alone
(the partitioned greedy algorithm of Mirzasoleiman et al., 2013, without its second
round). The pool of a row depends on its identity alone, and the number of pools and
their shares are fixed when the rows are first seen, from counts.
"""

import math
from dataclasses import dataclass

import numpy as np

from skunlearn._data.hashing import draw
from skunlearn.sharding._selection.greedy import select_rows

__all__ = ["Pools", "count_in_pools", "count_picks", "deal"]

# One pool as long as there are at most so many rows and picks; of several pools each
# has about half of that, for speed.
_MOST_ROWS = 8192
_MOST_PICKS = 1024
_STREAM = 2 << 32  # not those that draw shards and slices


def count_picks(fraction: float, n_samples: int) -> int:
    """Return how many of `n_samples` rows to pick: their share, rounded upwards.

    A product that is an integer but for rounding (0.1 * 30) counts as that integer.
    """
    picks = math.ceil(fraction * n_samples * (1 - 1e-12))
    return min(n_samples, picks)


@dataclass(frozen=True)
class Pools:
    """How many pools there are, and how many rows are picked from each.

    Parameters
    ----------
    quotas : tuple of int
        Picks from each pool; a pool with fewer rows is picked whole.
    """

    quotas: tuple[int, ...]

    @classmethod
    def plan(cls, fraction: float, sizes: np.ndarray, share: float = 1.0) -> "Pools":
        """Plan to pick a fraction of a share of the rows that there are at first.

        Parameters
        ----------
        fraction : float
            Fraction to pick; 1 is whatever there is.
        sizes : ndarray of shape (n_pools,)
            Rows in each pool at first, as `count_in_pools` says. What is planned must
            not depend on which of them are left.
        share : float
            Share of these rows that is to be expected among those to pick from.
        """
        if fraction < 1:
            fraction *= share
        totals = [count_picks(fraction, end) for end in [0, *np.cumsum(sizes).tolist()]]
        return cls(tuple(np.diff(totals).tolist()))

    def count(self, hashes: np.ndarray) -> int:
        """Return how many are picked of rows of the given hashes."""
        return int(np.minimum(self.quotas, self._count_rows(hashes)).sum())

    def has_more(self, hashes: np.ndarray, picked: np.ndarray) -> np.ndarray:
        """Return, for picked hashes, a mask of those whose pool has more rows."""
        has_more = self._count_rows(hashes) > np.array(self.quotas)
        return has_more[deal(picked, len(self.quotas))]

    def without(self, hashes: np.ndarray) -> "Pools":
        """Return the pools from which rows of the given hashes were picked already."""
        return Pools(tuple((np.array(self.quotas) - self._count_rows(hashes)).tolist()))

    def _count_rows(self, hashes: np.ndarray) -> np.ndarray:
        n_pools = len(self.quotas)
        return np.bincount(deal(hashes, n_pools), minlength=n_pools)

    def select(
        self,
        features: np.ndarray,
        hashes: np.ndarray,
        given: np.ndarray,
        given_hashes: np.ndarray,
        *,
        length_scale: float,
    ) -> np.ndarray:
        """Pick the quota of each pool, given rows that were picked before.

        The pools take turns, so that a row's place is its place in its pool (after the
        rows given to it) and then the number of the pool. Without a row that was not
        picked the result is the same. Without the one picked at place t it is the same
        before t, and for all other pools after it.

        Parameters
        ----------
        features, hashes, given, length_scale
            As for `select_rows`.
        given_hashes : ndarray of uint64, shape (n_given,)
            Hashes of the given rows: they are dealt to the pools too, and each pool
            knows of its own alone.

        Returns
        -------
        ndarray of int64
            Indices of the picks, in their order.
        """
        n_pools = len(self.quotas)
        pool_of = deal(hashes, n_pools)
        given_pool_of = deal(given_hashes, n_pools)
        picks, ranks = [], []
        for pool, quota in enumerate(self.quotas):
            members = np.flatnonzero(pool_of == pool)
            before = given[given_pool_of == pool]
            chosen = select_rows(
                features[members],
                hashes[members],
                quota,
                before,
                length_scale=length_scale,
            )
            picks.append(members[chosen])
            ranks.append(len(before) + np.arange(len(chosen)))
        turns = np.argsort(np.concatenate(ranks), kind="stable")
        return np.concatenate(picks)[turns]


def count_in_pools(fraction: float, hashes: np.ndarray) -> np.ndarray:
    """Deal rows to as many pools as speed asks for, and count them in each."""
    share = max(
        len(hashes) / _MOST_ROWS, count_picks(fraction, len(hashes)) / _MOST_PICKS
    )
    n_pools = 1 if share <= 1 else math.ceil(2 * share)
    return np.bincount(deal(hashes, n_pools), minlength=n_pools)


def deal(hashes: np.ndarray, n_pools: int) -> np.ndarray:
    """Return the pool of each row."""
    return draw(hashes, _STREAM, n_pools)
