"""All layers of a network, and what they minimise."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skunlearn._data.rows import Batch
from skunlearn.influence._networks.base import Network, Trained
from skunlearn.influence._networks.layers import Layers
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.losses import LogLoss, Loss, Softmax
from skunlearn.influence._objectives.registry import register_objective

__all__ = ["NetworkObjective", "WholeNetwork"]

_DAMPING = 0.03  # of Gauss-Newton matrices, beside a mean loss
_MAX_HESSIAN_ROWS = 4096  # of which the curvature is measured


def _has(method: str) -> Callable[[Any], bool]:
    def check(self: "WholeNetwork") -> bool:
        getattr(self.estimator, method)
        return True

    return check


class WholeNetwork(ClassifierMixin, BaseEstimator):
    """A network all of whose parameters are updated.

    Parameters
    ----------
    estimator : estimator
        The unfitted network.
    kind : type
        The subclass of Network that knows it.
    seed : int
        Seed of its training, if it has none of its own.
    """

    def __init__(self, estimator: Any, kind: type[Network], seed: int) -> None:
        self.estimator = estimator
        self.kind = kind
        self.seed = seed

    def fit(self, X: Any, y: np.ndarray, sample_weight: Any = None) -> "WholeNetwork":
        """Train the network as it trains itself."""
        if sparse.issparse(X):
            raise TypeError("scope='all' takes no sparse rows. Pass X.toarray().")
        self.classes_, codes = np.unique(y, return_inverse=True)
        rows = Batch(X, codes, sample_weight)
        self.trained_: Trained = self.kind.train_whole(
            self.estimator, rows, self.classes_, self.seed
        )
        return self

    def without_classes(self, there: np.ndarray) -> "WholeNetwork":
        """Return an unfitted network for some of the classes, by a mask."""
        estimator = self.kind.without_classes(self.estimator, there)
        return WholeNetwork(estimator, self.kind, self.seed)

    @property
    def net(self) -> Any:
        """Return the network itself."""
        return self.trained_.net

    def predict(self, X: Any) -> np.ndarray:
        """Return labels."""
        return self._ask("predict", X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities."""
        return self._ask("predict_proba", X)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return logarithms of probabilities."""
        return self._ask("predict_log_proba", X)

    def _ask(self, method: str, X: Any) -> np.ndarray:
        return self.kind.ask(self.net, self.classes_, None, method, X)


@register_objective(WholeNetwork)
class NetworkObjective(Objective):
    """The log loss of a network and its weight decay, which is not convex.

    Hessians are generalised Gauss-Newton matrices, of a sample of the rows if there are
    many. They are positive definite, and equal to the Hessian where the network fits
    its rows.
    """

    _ihvp_tol = 0.005  # which the sample of rows is not worth more than

    def __init__(
        self,
        estimator: Any,
        X: Any,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        super().__init__(estimator, X, codes, sample_weight)
        trained = estimator.trained_
        self.layers, self.decay = trained.layers, trained.decay
        self.decay_per_row = trained.decay_per_row
        self.n_params = len(self.decay)
        self.n_classes = len(estimator.classes_)
        given = trained.class_weight or {}
        names = estimator.classes_.tolist()
        self.class_factors = np.array([given.get(name, 1.0) for name in names])

    def read(self, estimator: Any) -> np.ndarray:
        """Return all parameters."""
        return estimator.trained_.layers.read()

    def with_layers(self, layers: Layers) -> "NetworkObjective":
        """Return the objective of a network with other statistics of batches."""
        other = copy.copy(self)
        other.layers = layers
        return other

    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Give an estimator a copy of its network, with other parameters."""
        estimator.trained_ = estimator.kind.write(estimator.trained_, theta)

    # Rows alone

    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows."""
        Z = self.layers.compute(theta, self.X[rows])
        return self._weigh(rows) * _find_loss(Z).values(Z, self.codes[rows]).sum(axis=1)

    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradients of the losses of some rows, one by one."""
        singles = rows[:, None]
        gradients = [self._sum_gradients(theta, None, each) for each in singles]
        return np.reshape(gradients, (len(rows), self.n_params))

    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the factors of the Gauss-Newton matrices of some rows."""
        factors = []
        for row in rows:
            Z, pull = self.layers.pull(theta, self.X[row : row + 1])
            loss = _find_loss(Z)
            F = loss.factors(loss.curvatures(Z, self.codes[row : row + 1]))[0]
            root = np.sqrt(self._weigh(np.array([row])))
            factors.append([root * pull(column[None]) for column in F.T])
        return np.array(factors).reshape(len(rows), -1, self.n_params)

    # Sums

    def regularizer(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the weight decay of each parameter."""
        return self.decay * (weight_sums[0] if self.decay_per_row else 1.0)

    def gradients_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sum of the gradients of rows with a weight, batch by batch."""
        rows = np.arange(self.n_rows) if rows is None else rows
        return self._sum_gradients(theta, w, rows[w[rows] != 0])[None]

    def _sum_gradients(
        self, theta: np.ndarray, w: np.ndarray | None, rows: np.ndarray
    ) -> np.ndarray:
        total = np.zeros(self.n_params)
        for block in self._blocks(rows):
            Z, pull = self.layers.pull(theta, self.X[block])
            weight = self._weigh(block) * (1.0 if w is None else w[block])
            total += pull(weight[:, None] * _find_loss(Z).slopes(Z, self.codes[block]))
        return total

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return a constant: no preconditioner is known."""
        return np.ones(self.n_params)

    def hvp(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function v -> G v, with the Gauss-Newton matrix G.

        It is damped: steps that are long where the network is nearly flat leave the
        region in which its Hessian says anything.
        """
        penalty = self.regularizer(self.weight_sums(w)) + _DAMPING * w.sum()
        rows = np.flatnonzero(w)
        step = -(-len(rows) // _MAX_HESSIAN_ROWS)
        sample = rows[::step]
        factor = w[rows].sum() / w[sample].sum()

        def multiply(v: np.ndarray) -> np.ndarray:
            result = penalty * v
            for block in self._blocks(sample):
                X = self.layers.convert(self.X[block])
                Z, changes = self.layers.push(theta, X, v)
                loss, weight = _find_loss(Z), factor * w[block] * self._weigh(block)
                bent = loss.bend(loss.curvatures(Z, self.codes[block]), changes)
                result += self.layers.pull(theta, X)[1](weight[:, None] * bent)
            return result

        return multiply

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return d(gradient . v) / dw_i of all rows, in one forward-mode pass."""
        if v.ndim == 2:
            return np.column_stack([self.scores(theta, w, u) for u in v.T])
        parts = []
        for block in self._blocks(None):
            Z, changes = self.layers.push(theta, self.X[block], v)
            slopes = _find_loss(Z).slopes(Z, self.codes[block])
            parts.append(self._weigh(block) * (slopes * changes).sum(axis=1))
        shared = v @ (self.decay * theta) if self.decay_per_row else 0.0
        return np.concatenate(parts) + shared

    # Other rows

    def decision_function(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values, shape (n,) or (n, n_classes)."""
        Z = self.layers.compute(theta, X)
        if Z.shape[1] == 1:
            return Z[:, 0]
        return Z[:, 1] - Z[:, 0] if self.n_classes == 2 else Z[:, : self.n_classes]

    def decision_vjp(
        self, theta: np.ndarray, X: Any, cotangents: np.ndarray
    ) -> np.ndarray:
        """Return the vector-Jacobian product of the decision values."""
        total = np.zeros(self.n_params)
        for block in np.array_split(np.arange(len(X)), -(-len(X) // 1024)):
            Z, pull = self.layers.pull(theta, X[block])
            R, given = np.zeros_like(Z), cotangents[block]
            if Z.shape[1] == 1:
                R[:, 0] = given
            elif self.n_classes == 2:
                R[:, 0], R[:, 1] = -given, given
            else:
                R[:, : self.n_classes] = given
            total += pull(R)
        return total

    def _weigh(self, rows: np.ndarray) -> np.ndarray:
        factors = self.class_factors[self.codes[rows]]
        weight = self.sample_weight
        return factors if weight is None else factors * weight[rows]


def _find_loss(Z: np.ndarray) -> Loss:
    return LogLoss() if Z.shape[1] == 1 else Softmax()
