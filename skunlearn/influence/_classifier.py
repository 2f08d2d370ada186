"""The public classifier of approximate unlearning."""

import time
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state, get_tags

from skunlearn._base import all_or_nothing
from skunlearn._compat import HasMethods, Interval, StrOptions, _fit_context
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Erasure, Rows
from skunlearn._records import ForgetRecord
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._certificate.privacy_budget import Budget
from skunlearn.influence._criteria import CRITERIA, find_criterion
from skunlearn.influence._fit import prepare
from skunlearn.influence._forget import erase, make_record, remove
from skunlearn.influence._objectives.registry import find_objective
from skunlearn.influence._prediction import PredictionMixin
from skunlearn.influence._row_scores import RowScoresMixin
from skunlearn.influence._settings import Settings
from skunlearn.influence._state import State
from skunlearn.influence._validation import (
    check_given,
    check_samples,
    get_final,
)

__all__ = ["InfluenceUnlearningClassifier"]


class InfluenceUnlearningClassifier(PredictionMixin, RowScoresMixin):
    """Approximate unlearning for linear classifiers, by patching their parameters.

    Nothing is trained again: the parameters make a Newton step from what is known of
    the rows that stay, and `distance_bound_` tells how far they can be from those that
    training anew would give. See the :ref:`user guide <approximate_unlearning>`.

    Parameters
    ----------
    estimator : classifier, default=None
        ``LogisticRegression``, ``RidgeClassifier``, ``LinearSVC``, ``SGDClassifier``
        with an l2 penalty or none, what :func:`~skunlearn.influence.register_objective`
        was told of, or a ``Pipeline`` that ends in one of them. None stands for
        ``LogisticRegression()``.
    method : {"puma", "newton", "influence"}, default="puma"
        How to forget.

        - "puma": rows that stay are weighed anew, so that the criterion does not get
          worse [1]_; then as "newton".
        - "newton": to the optimum of the rows that stay.
        - "influence": one step with the Hessian of all rows, the baseline.
    criterion : {"log_loss", "accuracy"} or object, default="log_loss"
        What "puma" leaves unchanged, the less the better: the mean log loss, a smooth
        share of errors, or an object with the methods ``value(decision, y)`` and
        ``gradient(decision, y)``, which get what ``decision_function`` returns for the
        rows of the criterion, and their labels.
    validation_fraction : float, default=0.1
        Share of rows held out for the criterion, with method="puma" only. Not used if
        `X_val` and `y_val` are given to `fit`; else it must be positive.
    hessian : {"retained", "original"}, default="retained"
        With "puma", of which rows the Hessian of the first step is: of those that stay,
        or of all that were there before, as in the paper.
    eta : float or "auto", default="auto"
        Share of its step that "puma" takes; with more than one step that is no more
        than a start. "auto" takes the whole step, but a smaller share of the new
        weights, down to none, if the criterion does not change about as predicted or
        by more than what the removal alone is predicted to do.
    max_weight : float, default=1.0
        The largest relative change of a weight upwards; weights never get below 0.
    l1_penalty : float, default=0.0
        With "puma", sparsity of the changes of weights, in their own units.
    max_reabsorption : float, default=0.1
        Share of the removal that "puma" may undo by the new weights. From 1 on there is
        no limit.
    certify : tuple (epsilon, delta), default=None
        Certified removal [2]_: noise is added to the objective, and a classifier whose
        gradient is too large for it to hide is fitted anew.
    noise_scale : float, default=1.0
        Standard deviation of that noise, in units of the gradient.
    solver : {"auto", "cholesky", "cg"}, default="auto"
        Whether Hessians are formed, or products with them computed. "auto" forms them
        for up to 2,000 parameters.
    damping : float, default=0.0
        What is added to the diagonal of Hessians in steps. The optimum stays.
    tol : float, default=1e-8
        The distance to the optimum that is good enough, as a share of the norm of the
        parameters, or of 1 if that is larger. For `fit`, the norm of the gradient.
    max_iter : int, default=200
        The largest number of products with a Hessian for one step.
    n_steps : int or "auto", default="auto"
        The largest number of steps of a forget; "influence" makes one. "auto": as many
        as the bound takes to get below `tol`.
    n_jobs : int, default=None
        Number of threads that score rows in `self_influence` and `leave_one_out_loss`.
    random_state : int, RandomState instance or None, default=None
        Determines the rows held out and the noise of `certify`. None draws it at fit.
    verbose : int or bool, default=0
        Whether to print a line for each fit and forget.

    Attributes
    ----------
    estimator_ : classifier
        The fitted estimator with the current parameters.
    coef_, intercept_ : ndarray
        Coefficients and intercepts of `estimator_`, if it has them.
    weights_ : ndarray of shape (n_positions,)
        Weight of each row in what is minimised, beside its `sample_weight`: 0 if it is
        forgotten or held out, or if that is 0.
    gradient_residual_ : float
        Norm of the gradient of what is minimised on the rows that stay. Computed when
        it is first asked for, in a pass over the rows.
    distance_bound_ : float
        Upper bound of the distance between the parameters, coefficients and intercepts
        in one vector, and the optimum for the current weights. Where what is known
        gives none, it is computed when it is first asked for, in a pass over the rows.
    classes_ : ndarray of shape (n_classes,)
        Classes of the rows that the classifier is trained on.
    n_iter_ : int
        Newton steps of the last fit to an optimum, plus one.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen in `fit`, if all are strings.
    forget_records_ : list of ForgetRecord
        One receipt for each call of `forget`.
    forgotten_indices_ : ndarray
        Positions that were forgotten.
    retained_indices_ : ndarray
        Positions that are retained, those held out included.

    See Also
    --------
    ShardedUnlearningClassifier : Exact unlearning for any classifier.

    Notes
    -----
    What says how to forget (`method`, `hessian`, `eta`, `max_weight`, `l1_penalty`,
    `max_reabsorption`, `damping`, `tol`, `max_iter`, `n_steps`) may be set anew between
    requests; all else counts at `fit`.

    With p parameters, a first step for k rows costs O(k p^2 + p^3) and is independent
    of the number of rows, but for "puma", losses whose second derivatives jump (squared
    hinge, modified Huber), `certify` and solver="cg", which pass over them. Each
    further step passes over the rows a few times.

    The object keeps the retained rows, and so does its pickle. The values of forgotten
    rows are overwritten at once. Transformers in a pipeline stay as they were fitted:
    they have seen the rows.

    References
    ----------
    .. [1] G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model
       Augmentation for Training Data Removal", AAAI, 2022. :arxiv:`2203.00846`
    .. [2] C. Guo et al., "Certified Data Removal from Machine Learning Models", ICML,
       2020. :arxiv:`1911.03030`

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skunlearn import InfluenceUnlearningClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = InfluenceUnlearningClassifier(method="newton")
    >>> classifier.fit(scale(X), y).forget([7, 42]).score(scale(X), y) > 0.97
    True
    >>> classifier.distance_bound_ < 1e-6
    True
    """

    __metadata_request__fit = {"sample_weight": True, "groups": True}
    __metadata_request__score = {"sample_weight": True}

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "method": [StrOptions({"puma", "newton", "influence"})],
        "criterion": [StrOptions(set(CRITERIA)), HasMethods(["value", "gradient"])],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "hessian": [StrOptions({"retained", "original"})],
        "eta": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_weight": [Interval(Real, 0, None, closed="left")],
        "l1_penalty": [Interval(Real, 0, None, closed="left")],
        "max_reabsorption": [Interval(Real, 0, None, closed="left")],
        "certify": [tuple, None],
        "noise_scale": [Interval(Real, 0, None, closed="neither")],
        "solver": [StrOptions({"auto", "cholesky", "cg"})],
        "damping": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: str = "puma",
        criterion: Any = "log_loss",
        validation_fraction: float = 0.1,
        hessian: str = "retained",
        eta: float | str = "auto",
        max_weight: float = 1.0,
        l1_penalty: float = 0.0,
        max_reabsorption: float = 0.1,
        certify: tuple[float, float] | None = None,
        noise_scale: float = 1.0,
        solver: str = "auto",
        damping: float = 0.0,
        tol: float = 1e-8,
        max_iter: int = 200,
        n_steps: int | str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int | bool = 0,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.criterion = criterion
        self.validation_fraction = validation_fraction
        self.hessian = hessian
        self.eta = eta
        self.max_weight = max_weight
        self.l1_penalty = l1_penalty
        self.max_reabsorption = max_reabsorption
        self.certify = certify
        self.noise_scale = noise_scale
        self.solver = solver
        self.damping = damping
        self.tol = tol
        self.max_iter = max_iter
        self.n_steps = n_steps
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Fit the estimator, and make Newton steps to the true optimum.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows. Their places are the positions that `forget` takes.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        groups : array-like of shape (n_samples,), default=None
            The data subject of each row, as for `ShardedUnlearningClassifier`.
        X_val : array-like of shape (n_validation_samples, n_features), default=None
            Rows for the criterion. They cannot be forgotten.
        y_val : array-like of shape (n_validation_samples,), default=None
            Their labels.

        Returns
        -------
        InfluenceUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        UnsupportedEstimatorError
            If the objective of the estimator is not known.

        Warns
        -----
        UnlearningQualityWarning
            If a transformer has learnt from the rows, or there is no finite optimum.
        """
        with all_or_nothing(self, "fit") as start, single_threaded:
            estimator = self._get_estimator()
            find_objective(get_final(estimator))
            given = check_given(self, estimator, X, y, sample_weight)
            key = self._draw_key()
            self._state = prepare(
                estimator,
                given,
                groups=groups,
                criterion=find_criterion(self.criterion),
                validation=self._check_validation(estimator, X_val, y_val),
                held_share=self._get_held_share(X_val),
                settings=self._get_settings(),
                budget=self._get_budget(key),
                key=key,
            )
            self._say("(fit) found the optimum", time.perf_counter() - start)
        return self

    def forget(self, X_idx: Any = None, *, groups: Any = None) -> Self:
        """Forget rows, by moving the parameters to where they would be without them.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions in the `X` given to `fit`. They are never renumbered. Those
            already forgotten are counted and ignored.
        groups : group id or sequence of group ids, default=None
            Groups whose rows are all to be forgotten.

        Returns
        -------
        InfluenceUnlearningClassifier
            The classifier without the rows.

        Raises
        ------
        ForgetIndexError
            If a position or group does not exist, or nothing is named.
        NothingRetainedError
            If no row would be left to train on.

        Warns
        -----
        UnlearningQualityWarning
            If the distance to the retrained parameters cannot be bounded, all had to be
            fitted anew, or no row is left for the criterion.
        """
        self._check_is_fitted()
        with self._state.turnstile.lock:
            with all_or_nothing(self, "forget") as start, single_threaded:
                state, erasure = self._forget(X_idx, groups, start)
                self._say("(forget) moved the parameters", time.perf_counter() - start)
            self._replace_state(state, erasure)
        return self

    def preview_forget(self, X_idx: Any = None, *, groups: Any = None) -> ForgetRecord:
        """Preview what `forget` would do without modifying the classifier.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.

        Returns
        -------
        ForgetRecord
            The record that `forget` would make: all is computed but the overwriting.
        """
        self._check_is_fitted()
        with self._state.turnstile.lock, single_threaded:
            state, _ = self._forget(X_idx, groups, time.perf_counter())
        return state.records[-1]

    def _forget(self, X_idx: Any, groups: Any, start: float) -> tuple[State, Erasure]:
        """Return the state without some rows, and what is left to do to these."""
        state, settings = self._state, self._get_settings()
        if settings != state.settings:
            self._validate_params()
            state = replace(state, settings=settings)
        request = self._resolve(X_idx, groups)
        change = remove(state, state.rows.slot_of[request.positions])
        new, erasure = erase(state, change.state, request.positions)
        record = make_record(change, request, time.perf_counter() - start)
        return new.with_record(record), erasure

    # What is known after fit

    @property
    def _rows(self) -> Rows:
        return self._state.rows

    @property
    def estimator_(self) -> Any:
        """The fitted estimator with the current parameters."""
        self._check_is_fitted()
        return self._state.estimator

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the rows that the classifier is trained on."""
        self._check_is_fitted()
        return self._state.classes

    @property
    def weights_(self) -> np.ndarray:
        """Weight of each row, an ndarray of shape (n_positions,)."""
        self._check_is_fitted()
        padded = np.zeros(self._rows.n_positions)
        padded[: self._state.n_training] = self._state.w
        return padded[self._rows.slot_of]

    @property
    def gradient_residual_(self) -> float:
        """Norm of the gradient of what is minimised on the rows that stay."""
        self._check_is_fitted()
        with single_threaded:
            return self._state.gradient_residual

    @property
    def distance_bound_(self) -> float:
        """Upper bound of the distance to the optimum for the current weights."""
        self._check_is_fitted()
        with single_threaded:
            return self._state.distance_bound

    @property
    def n_iter_(self) -> int:
        """Newton steps of the last fit to an optimum, plus one."""
        self._check_is_fitted()
        return self._state.optimum.n_steps + 1

    @property
    def forget_records_(self) -> list[ForgetRecord]:
        """One receipt for each call of `forget`."""
        self._check_is_fitted()
        return list(self._state.records)

    def __sklearn_is_fitted__(self) -> bool:
        """Return True if the classifier is fitted."""
        return hasattr(self, "_state")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know, mostly from the base."""
        tags = super().__sklearn_tags__()
        base = get_tags(self._get_estimator())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.positive_only = base.input_tags.positive_only
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        if base.classifier_tags is not None:
            tags.classifier_tags.multi_class = base.classifier_tags.multi_class
            tags.classifier_tags.poor_score = base.classifier_tags.poor_score
        return tags

    def _get_estimator(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _get_base(self) -> Any:
        """Return the estimator that is fitted, or will be."""
        if self.__sklearn_is_fitted__():
            return self._state.estimator
        return self._get_estimator()

    def _get_held_share(self, X_val: Any) -> float:
        if self.method != "puma" or X_val is not None:
            return 0.0
        if self.validation_fraction == 0:
            raise ValueError(
                "method='puma' needs rows for its criterion: give X_val and y_val to "
                "fit, or a validation_fraction above 0."
            )
        return self.validation_fraction

    def _check_validation(
        self, estimator: Any, X_val: Any, y_val: Any
    ) -> tuple[Any, Any] | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both, or neither.")
        if X_val is None:
            return None
        return check_samples(self, estimator, X_val, reset=False), y_val

    def _get_settings(self) -> Settings:
        names = [field.name for field in fields(Settings)]
        return Settings(**{name: getattr(self, name) for name in names})

    def _get_budget(self, key: int) -> Budget | None:
        if self.certify is None:
            return None
        epsilon, delta = _check_certify(self.certify)
        return Budget(epsilon, delta, float(self.noise_scale), key)

    def _draw_key(self) -> int:
        random_state = check_random_state(self.random_state)
        return int(random_state.randint(2**64 - 1, dtype=np.uint64))

    @property
    def _group_index(self) -> tuple[GroupIndex | None, int]:
        return self._state.groups, self._state.key


def _check_certify(certify: Any) -> tuple[float, float]:
    is_pair = len(certify) == 2 and all(isinstance(v, Real) for v in certify)
    if not is_pair or not (certify[0] > 0 and 0 < certify[1] < 1):
        raise ValueError(
            "certify must be (epsilon, delta) with epsilon > 0 and 0 < delta < 1; got "
            f"{certify!r}."
        )
    return float(certify[0]), float(certify[1])
