"""Losses of linear models, as functions of the margins ``Z = X W.T``.

Margins have one column per output. A loss gives the derivatives of a row's loss by its
margins; what rows and weights make of them is the objective's.
"""

from typing import Protocol

import numpy as np
from scipy.special import expit, log_expit

__all__ = [
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "Softmax",
    "SquaredError",
    "SquaredHinge",
]

_MAX_EXPONENT = 700.0  # of numbers that do not overflow


class Loss(Protocol):
    """A convex loss. All arguments have shape (n, n_outputs), and codes (n,).

    Its second derivatives change by a factor of ``exp(self_concordance * |v|)`` at most
    where the margins of a row move by v; 0 is for none, and infinity for a loss whose
    second derivatives jump.
    """

    self_concordance: float

    def values(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return what each output adds to the loss, shape (n, n_outputs)."""

    def slopes(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the first derivatives, shape (n, n_outputs)."""

    def curvatures(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return what the second derivatives are made of, shape (n, n_outputs)."""

    def derive(self, Z: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `slopes` and `curvatures`, with nothing computed twice."""

    def least_curvatures(
        self, Z: np.ndarray, codes: np.ndarray, slack: np.ndarray
    ) -> np.ndarray:
        """Return curvatures that stay, or grow, where margins move by `slack`.

        If `self_concordance` is finite, they are those at Z. `slack` has shape (n, 1).
        """

    def find_change(self, V: np.ndarray) -> float:
        """Return by how much margins that move by V matter to second derivatives.

        It is the largest move of a margin, or change of the difference of two.
        """

    def bend(self, C: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Multiply V by the second derivatives, given the curvatures C."""

    def diagonal(self, C: np.ndarray) -> np.ndarray:
        """Return the diagonals of the second derivatives, shape (n, n_outputs)."""

    def factors(self, C: np.ndarray) -> np.ndarray:
        """Return F of shape (n, n_outputs, rank): a row bends by F F.T."""

    def pairs(self, n_outputs: int) -> list[tuple[int, int]]:
        """Return pairs of outputs from which all second derivatives follow."""

    def pair_weights(self, C: np.ndarray) -> np.ndarray:
        """Return the size (>= 0) of these pairs' derivatives, shape (n, n_pairs)."""

    def fill(self, blocks: np.ndarray, grams: np.ndarray) -> None:
        """Write to ``blocks[a, :, b, :]`` what the pairs' grams say of it."""


class _Separable:
    """A loss that is a sum over outputs: C are the second derivatives themselves."""

    self_concordance: float

    def values(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return self._values(Z, _make_signs(codes, Z.shape[1]))

    def slopes(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return self._slopes(Z, _make_signs(codes, Z.shape[1]))

    def curvatures(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return self._curvatures(Z, _make_signs(codes, Z.shape[1]))

    def derive(self, Z: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T = _make_signs(codes, Z.shape[1])
        return self._slopes(Z, T), self._curvatures(Z, T)

    def least_curvatures(
        self, Z: np.ndarray, codes: np.ndarray, slack: np.ndarray
    ) -> np.ndarray:
        return self.curvatures(Z, codes)

    def find_change(self, V: np.ndarray) -> float:
        return float(max(V.max(), -V.min())) if self.self_concordance else 0.0

    def bend(self, C: np.ndarray, V: np.ndarray) -> np.ndarray:
        return C * V

    def diagonal(self, C: np.ndarray) -> np.ndarray:
        return C

    def factors(self, C: np.ndarray) -> np.ndarray:
        return np.sqrt(C)[:, :, None] * np.eye(C.shape[1])

    def pairs(self, n_outputs: int) -> list[tuple[int, int]]:
        return [(a, a) for a in range(n_outputs)]

    def pair_weights(self, C: np.ndarray) -> np.ndarray:
        return C

    def fill(self, blocks: np.ndarray, grams: np.ndarray) -> None:
        for a, gram in enumerate(grams):
            blocks[a, :, a, :] = gram

    def _values(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _slopes(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _curvatures(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def _make_signs(codes: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return +1 where an output stands for the row's class and -1 elsewhere."""
    names = np.arange(n_outputs) if n_outputs > 1 else np.ones(1)
    return np.where(codes[:, None] == names, 1.0, -1.0)


class LogLoss(_Separable):
    """log(1 + exp(-t z))."""

    self_concordance = 1.0

    def _values(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return -log_expit(T * Z)

    def slopes(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        # Not expit(Z) - 1, which has no digits left where rows are far from the margin.
        if Z.shape[1] == 1:
            signs, E = _find_odds(Z, codes)
            E += 1
            return np.divide(signs, E, out=E)[:, None]
        S, own = expit(Z), (np.arange(len(codes)), codes)
        S[own] = -expit(-Z[own])
        return S

    def _curvatures(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return expit(Z) * expit(-Z)

    def derive(self, Z: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `slopes` and `curvatures`, from the same exponentials."""
        if Z.shape[1] > 1:
            return self.slopes(Z, codes), self._curvatures(Z, codes)
        signs, E = _find_odds(Z, codes)
        P = E + 1
        np.divide(1.0, P, out=P)
        E *= P
        E *= P
        P *= signs
        return P[:, None], E[:, None]


def _find_odds(Z: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the signs of the slopes, and exp(t z), which is finite, of one output."""
    signs = 1.0 - 2.0 * codes
    E = signs * Z[:, 0]
    np.negative(E, out=E)
    np.minimum(E, _MAX_EXPONENT, out=E)
    return signs, np.exp(E, out=E)


class SquaredError(_Separable):
    """(t - z)^2."""

    self_concordance = 0.0

    def _values(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return (T - Z) ** 2

    def _slopes(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return 2 * (Z - T)

    def _curvatures(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return np.full_like(Z, 2.0)


class SquaredHinge(_Separable):
    """max(0, 1 - t z)^2. Its second derivative jumps at the margin."""

    self_concordance = np.inf

    def _values(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return np.maximum(0, 1 - T * Z) ** 2

    def _slopes(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return -2 * T * np.maximum(0, 1 - T * Z)

    def _curvatures(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return np.where(T * Z < 1, 2.0, 0.0)

    def least_curvatures(
        self, Z: np.ndarray, codes: np.ndarray, slack: np.ndarray
    ) -> np.ndarray:
        M = _make_signs(codes, Z.shape[1]) * Z
        return np.where(M + slack < 1, 2.0, 0.0)


class ModifiedHuber(_Separable):
    """max(0, 1 - t z)^2, and linear (-4 t z) where t z < -1."""

    self_concordance = np.inf

    def _values(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        M = T * Z
        return np.where(M < -1, -4 * M, np.maximum(0, 1 - M) ** 2)

    def _slopes(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return -2 * T * np.clip(1 - T * Z, 0, 2)

    def _curvatures(self, Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        M = T * Z
        return np.where((M >= -1) & (M < 1), 2.0, 0.0)

    def least_curvatures(
        self, Z: np.ndarray, codes: np.ndarray, slack: np.ndarray
    ) -> np.ndarray:
        M = _make_signs(codes, Z.shape[1]) * Z
        return np.where((M - slack >= -1) & (M + slack < 1), 2.0, 0.0)


class Softmax:
    """The log loss of p = softmax(z). C are these p; it bends by diag(p) - p p.T."""

    self_concordance = np.sqrt(2)  # largest difference of two margins, over their norm

    def values(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the loss in the column of the row's class, and 0 elsewhere."""
        own = np.arange(len(codes)), codes
        values = np.zeros_like(Z)
        Z = Z - Z.max(axis=1, keepdims=True)
        values[own] = np.log(np.exp(Z).sum(axis=1)) - Z[own]
        return values

    def slopes(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return self._find_slopes(self.curvatures(Z, codes), codes)

    def _find_slopes(self, P: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Turn probabilities into slopes, in place."""
        own = np.arange(len(codes)), codes
        P[own] = 0.0  # p - 1 would have no digits left where p is near 1
        P[own] = -P.sum(axis=1)
        return P

    def derive(self, Z: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `slopes` and `curvatures`, from the same exponentials."""
        P = self.curvatures(Z, codes)
        return self._find_slopes(P.copy(order="K"), codes), P

    def curvatures(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        P = Z - Z.max(axis=1, keepdims=True)
        np.exp(P, out=P)
        P /= P.sum(axis=1, keepdims=True)
        return P

    def least_curvatures(
        self, Z: np.ndarray, codes: np.ndarray, slack: np.ndarray
    ) -> np.ndarray:
        return self.curvatures(Z, codes)

    def find_change(self, V: np.ndarray) -> float:
        return float((V.max(axis=1) - V.min(axis=1)).max())

    def bend(self, C: np.ndarray, V: np.ndarray) -> np.ndarray:
        B = C * V
        return B - C * B.sum(axis=1, keepdims=True)

    def diagonal(self, C: np.ndarray) -> np.ndarray:
        return C * (1 - C)

    def factors(self, C: np.ndarray) -> np.ndarray:
        """Return diag(s) Q with s = sqrt(p), and Q orthonormal and orthogonal to s.

        Q has a column less than there are classes: all but the last one of the
        reflection that takes s to the last axis.
        """
        s = np.sqrt(C)
        u = s.copy()
        u[:, -1] += 1
        Q = -u[:, :, None] * (s[:, None, :-1] / (1 + s[:, -1])[:, None, None])
        columns = np.arange(C.shape[1] - 1)
        Q[:, columns, columns] += 1
        return s[:, :, None] * Q

    def pairs(self, n_outputs: int) -> list[tuple[int, int]]:
        return [(a, b) for a in range(n_outputs) for b in range(a + 1, n_outputs)]

    def pair_weights(self, C: np.ndarray) -> np.ndarray:
        a, b = np.triu_indices(C.shape[1], 1)
        return C[:, a] * C[:, b]

    def fill(self, blocks: np.ndarray, grams: np.ndarray) -> None:
        """Fill the off-diagonal blocks; the sum of a row of blocks is 0."""
        for (a, b), gram in zip(self.pairs(len(blocks)), grams, strict=True):
            blocks[a, :, b, :] = blocks[b, :, a, :] = -gram
            blocks[a, :, a, :] += gram
            blocks[b, :, b, :] += gram
