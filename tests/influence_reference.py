"""Optima of scikit-learn's written objectives, by code that shares nothing with ours.

All is in extended precision, Hessians and their factors too: near separable data, where
probabilities are close to 0 or 1, doubles would lose the digits that decide.
"""

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

Long = np.longdouble


class Written:
    """What an estimator minimises, as its documentation writes it, in sum form.

    `w` says how often each row counts; `linear_term` is a linear part.
    """

    def __init__(
        self, estimator, X, codes, w=None, sample_weight=None, linear_term=None
    ):
        n_classes = codes.max() + 1
        w = np.ones(len(codes)) if w is None else w
        self.keep, w = w > 0, w[w > 0]
        X, codes = np.asarray(X)[self.keep], codes[self.keep]
        weight = w if sample_weight is None else w * sample_weight[self.keep]
        self.softmax = type(estimator) is LogisticRegression and n_classes > 2
        outputs = np.arange(n_classes) if n_classes > 2 else np.array([1])
        self.own = codes[:, None] == outputs
        self.T = np.where(self.own, 1, -1).astype(Long)
        self.loss, C, coef, free = _describe(estimator, w.sum())
        self.intercept = estimator.fit_intercept
        ones = np.ones((len(X), int(self.intercept)))
        self.X = np.hstack([X, ones]).astype(Long)
        ovr = isinstance(estimator, (LinearSVC, SGDClassifier)) and n_classes > 2
        counts_weights = isinstance(estimator, (LinearSVC, LogisticRegression))
        counted = weight if counts_weights else w
        scale = _weigh_classes(estimator, codes, counted, n_classes)[codes]
        self.A = np.where(self.own | (not ovr), scale[:, None], 1.0)
        self.A = (C * weight[:, None] * self.A).astype(Long)
        self.P = np.full((len(outputs), self.X.shape[1]), coef, dtype=Long)
        if self.intercept:
            self.P[:, -1] = free
        self.linear_term = (
            0 if linear_term is None else linear_term.reshape(self.P.shape)
        )

    def gradient(self, theta):
        """Return the gradient, shape (n_outputs, n_columns)."""
        S = self._bend(theta)[0]
        return (self.A * S).T @ self.X + self.P * theta + self.linear_term

    def hessian(self, theta):
        """Return the Hessian, shape (n_parameters, n_parameters)."""
        _, B = self._bend(theta)
        n_columns, n_outputs = self.X.shape[1], len(self.P)
        blocks = np.empty((n_outputs, n_columns, n_outputs, n_columns), dtype=Long)
        for a, b in np.ndindex(n_outputs, n_outputs):
            blocks[a, :, b] = (self.X * B[:, a, b, None]).T @ self.X
        return blocks.reshape(self.P.size, -1) + np.diag(self.P.ravel())

    @np.errstate(over="ignore")
    def _bend(self, theta):
        """Return first derivatives by margins, and second ones times weights.

        One minus a probability is a sum of others, which loses no digits near 1.
        """
        Z = self.X @ theta.T
        if self.softmax:
            P = np.exp(Z - Z.max(axis=1, keepdims=True))
            P /= P.sum(axis=1, keepdims=True)
            n_outputs = P.shape[1]
            rest = P @ (1 - np.eye(n_outputs, dtype=Long))
            B = -P[:, :, None] * P[:, None, :]
            B[:, range(n_outputs), range(n_outputs)] = P * rest
            return np.where(self.own, -rest, P), self.A[:, :, None] * B
        M = self.T * Z
        if self.loss == "log":
            q = 1 / (1 + np.exp(M))
            S, D = -self.T * q, q / (1 + np.exp(-M))
        elif self.loss == "squared":
            S, D = 2 * (Z - self.T), np.full_like(Z, 2)
        else:
            top = 2 if self.loss == "huber" else np.inf
            S = -2 * self.T * np.clip(1 - M, 0, top)
            D = 2 * (np.clip(1 - M, 0, top) == 1 - M) * (M < 1)
        return S, (self.A * D)[:, :, None] * np.eye(Z.shape[1])

    def value(self, theta):
        """Return the objective."""
        Z = self.X @ theta.T
        if self.softmax:
            ahead = np.where(self.own, -np.inf, Z - Z[self.own][:, None])
            losses = np.logaddexp(Long(0), np.logaddexp.reduce(ahead, axis=1))
            losses = losses[:, None] * self.own
        elif self.loss == "log":
            losses = np.logaddexp(Long(0), -self.T * Z)
        elif self.loss == "squared":
            losses = (self.T - Z) ** 2
        else:
            M = self.T * Z
            losses = np.maximum(0, 1 - M) ** 2
            losses = np.where((M < -1) & (self.loss == "huber"), -4 * M, losses)
        rest = (self.P * theta**2).sum() / 2 + (self.linear_term * theta).sum()
        return (self.A * losses).sum() + rest

    @np.errstate(over="ignore")
    def optimise(self, theta):
        """Return the optimum of least norm in null directions; None if there is none.

        Damped Newton steps, until they change nothing that a double can hold. The last
        of them, about what is still missing, is kept as `rest`.
        """
        theta = theta.astype(Long)
        value, length = self.value(theta), np.inf
        for _ in range(400 if self.P.any() else 40):
            gradient = self.gradient(theta)
            step = self._solve(self.hessian(theta), gradient).reshape(theta.shape)
            self.rest = step
            share, slope = Long(1), (gradient * step).sum()
            for _ in range(40):
                trial = theta - share * step
                after = self.value(trial)
                if after <= value - 1e-4 * share * slope + 1e-18 * abs(value):
                    break
                share /= 2
            theta, value = trial, after
            size = max(1, np.linalg.norm(theta.astype(float)))
            length, last = np.linalg.norm(step.astype(float)), length
            if size > 1e12:
                return None
            if length < 1e-17 * size or last / 2 <= length < 1e-13 * size:
                return theta
        return None

    def _solve(self, hessian, gradient):
        """Solve for a step, the null direction of a softmax left out."""
        n_outputs, n_columns = self.P.shape
        null = np.zeros((0, self.P.size))
        if self.softmax:
            null = np.tile(np.eye(n_columns)[self.P[0] == 0], n_outputs)
            null = null / np.sqrt(Long(n_outputs))
        filled = hessian + np.diag(hessian).max() * null.T @ null
        roots = np.sqrt(np.maximum(np.diag(filled), 1e-300))
        x = _solve_positive(filled / roots / roots[:, None], gradient.ravel() / roots)
        x = x / roots
        return x - null.T @ (null @ x)


def _solve_positive(A, b):
    """Solve A x = b for positive A of unit diagonal; pivots are not below rounding."""
    A, x = A.copy(), b.copy()
    n = len(x)
    for k in range(n):
        A[k, k] = max(A[k, k], np.finfo(Long).eps)
        factor = A[k + 1 :, k] / A[k, k]
        A[k + 1 :, k:] -= factor[:, None] * A[k, k:]
        x[k + 1 :] -= factor * x[k]
    for k in reversed(range(n)):
        x[k] = (x[k] - A[k, k + 1 :] @ x[k + 1 :]) / A[k, k]
    return x


def _describe(estimator, n):
    """Return the loss, its factor, and the penalties of coefficients and intercepts."""
    if isinstance(estimator, RidgeClassifier):
        return "squared", 1.0, 2 * estimator.alpha, 0.0
    if isinstance(estimator, LinearSVC):
        return "hinge", estimator.C, 1.0, estimator.intercept_scaling**-2
    if isinstance(estimator, SGDClassifier):
        losses = {"log_loss": "log", "squared_hinge": "hinge"}
        loss = losses.get(estimator.loss, "huber")
        return loss, 1.0, estimator.alpha * n * (estimator.penalty == "l2"), 0.0
    if np.isinf(estimator.C):
        return "log", 1.0, 0.0, 0.0
    is_liblinear = estimator.solver == "liblinear"
    free = estimator.intercept_scaling**-2 if is_liblinear else 0.0
    return "log", estimator.C, 1.0, free


def _weigh_classes(estimator, codes, counted, n_classes):
    if estimator.class_weight is None:
        return np.ones(n_classes)
    if isinstance(estimator.class_weight, dict):
        given = estimator.class_weight
        return np.array([given.get(c, 1.0) for c in range(n_classes)])
    counts = np.bincount(codes, counted, minlength=n_classes)
    there = counts > 0
    with np.errstate(divide="ignore"):
        return np.where(there, counts.sum() / (there.sum() * counts), 0)


def read(classifier):
    """Return coefficients and intercepts of a fitted influence classifier."""
    estimator = classifier.estimator_
    W = np.atleast_2d(estimator.coef_)
    if estimator.fit_intercept:
        W = np.column_stack([W, np.ravel(estimator.intercept_)])
    return W


def measure(classifier, X, codes, sample_weight=None):
    """Return the distance to the optimum for the current weights; None: no optimum."""
    state = classifier._state
    linear_term = state.optimum.objective.linear_term
    base = classifier.estimator_
    written = Written(base, X, codes, classifier.weights_, sample_weight, linear_term)
    theta = read(classifier)
    optimum = written.optimise(theta)
    if optimum is None:
        return None
    return float(np.linalg.norm((optimum - theta).astype(float)))


def measure_lengths(classifier, X, codes, sample_weight=None):
    """Return the distance to the optimum in both norms, and how well it is known.

    Each is (Euclidean, in the norm of the Hessian); None if there is no optimum.
    """
    state, base = classifier._state, classifier.estimator_
    written = Written(base, X, codes, classifier.weights_, sample_weight)
    theta = read(classifier)
    optimum = written.optimise(theta)
    if optimum is None:
        return None
    hessian, unit = written.hessian(optimum), state.optimum.objective.mean_weight
    lengths = []
    for v in ((optimum - theta).ravel(), written.rest.ravel()):
        square = max(float(v @ (hessian @ v)), 0.0)
        lengths.append((float(np.sqrt(v @ v)), np.sqrt(square / unit(state.w))))
    return lengths


def fit_quietly(classifier, *args, **kwargs):
    """Fit without warnings of scikit-learn's own solvers, or ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classifier.fit(*args, **kwargs)


class Convex:
    """The convex test of PUMA's pitfalls: four classes, a tenth of labels flipped."""

    n_rows, n_features, n_classes = 2000, 20, 4

    def __init__(self):
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(self.n_classes, self.n_features))
        n = self.n_rows + 1000
        y = rng.integers(self.n_classes, size=n)
        X = centres[y] + rng.normal(size=(n, self.n_features))
        self.X, self.X_val = np.split(X, [self.n_rows])
        self.y, self.y_val = np.split(y, [self.n_rows])
        self.true_y, self.y = self.y, self.y.copy()
        self.flipped = rng.permutation(self.n_rows)[: self.n_rows // 10]
        moves = rng.integers(1, self.n_classes, len(self.flipped))
        self.y[self.flipped] = (self.y[self.flipped] + moves) % self.n_classes
        self.base = LogisticRegression(C=1 / (self.n_rows * 5e-3))
