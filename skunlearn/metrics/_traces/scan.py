"""Look for thousands of byte patterns in one pass over the bytes."""

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["find_patterns"]

_BLOCK = 2**20
_BITS = 20  # of a table that fits into the cache
_FACTOR = np.uint32(2654435761)  # Knuth's, for multiplicative hashing
_MAX_FOUND = 64  # places per pattern and block


def find_patterns(
    data: np.ndarray, patterns: Sequence[bytes]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index of a pattern and where it begins, block by block.

    Every pattern has an anchor, four bytes of it that are rare. All windows of four
    bytes are looked up in a hash table of anchors, and what is found is compared with
    the whole patterns.

    Parameters
    ----------
    data : ndarray of uint8
        The bytes.
    patterns : sequence of bytes
        Patterns of at least four bytes. Of a pattern that is frequent in a block not
        all places are found.

    Notes
    -----
    The time is linear in the bytes, and depends little on the number of patterns.
    """
    index = _Index(patterns)
    margin = max((len(pattern) for pattern in patterns), default=0)
    for start in range(0, len(data) if patterns else 0, _BLOCK):
        # Anchors of this block; the patterns may reach over its ends.
        first = max(0, start - margin)
        block = np.asarray(data[first : start + _BLOCK + margin])
        block = np.concatenate([block, np.zeros(8, dtype=np.uint8)])
        stop = min(_BLOCK, len(data) - start)
        for which, where in index.find(block, start - first, stop):
            yield which, where + first


class _Index:
    """The patterns by their anchors."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        self.patterns = [np.frombuffer(pattern, dtype=np.uint8) for pattern in patterns]
        self.offsets = np.array([_find_anchor(p) for p in patterns], dtype=np.int64)
        anchors = np.array(
            [
                int.from_bytes(p[o : o + 4], "little")
                for p, o in zip(patterns, self.offsets, strict=True)
            ],
            dtype=np.uint32,
        )
        self.order = np.argsort(anchors, kind="stable")
        self.anchors = anchors[self.order]
        self.table = np.zeros(2**_BITS, dtype=bool)
        self.table[_hash(anchors)] = True

    def find(
        self, block: np.ndarray, start: int, size: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield what has its anchor at `start` of a block or up to `size` later."""
        places = []
        for shift in range(4):
            n_words = (size - shift + 3) // 4
            words = block[start + shift : start + shift + 4 * n_words].view("<u4")
            hits = np.flatnonzero(self.table[_hash(words)])
            at = np.searchsorted(self.anchors, words[hits])
            is_anchor = self.anchors[np.minimum(at, len(self.anchors) - 1)]
            is_same = is_anchor == words[hits]
            places.append((at[is_same], start + shift + 4 * hits[is_same]))
        firsts, found = (np.concatenate(part) for part in zip(*places, strict=True))
        order = np.lexsort((found, firsts))
        firsts, found = firsts[order], found[order]
        for first in np.unique(firsts):
            left, right = np.searchsorted(firsts, [first, first + 1])
            yield from self._compare(block, first, found[left:right])

    def _compare(
        self, block: np.ndarray, first: int, found: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the patterns of one anchor that are really there, and where."""
        end = np.searchsorted(self.anchors, self.anchors[first], side="right")
        for which in self.order[first:end]:
            pattern, where = self.patterns[which], found - self.offsets[which]
            where = where[(where >= 0) & (where + len(pattern) <= len(block) - 8)]
            for i, byte in enumerate(pattern):
                where = where[block[where + i] == byte]
            if len(where):
                yield int(which), where[:_MAX_FOUND]


def _hash(words: np.ndarray) -> np.ndarray:
    return (words * _FACTOR) >> np.uint32(32 - _BITS)


def _find_anchor(pattern: bytes) -> int:
    """Return where the window begins that has the most different bytes but zero."""
    starts = range(len(pattern) - 3)
    return max(starts, key=lambda i: (len({*pattern[i : i + 4]} - {0}), i))
