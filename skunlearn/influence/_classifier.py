"""The public classifier of approximate unlearning."""

import time
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, Self

from sklearn.pipeline import Pipeline

from skunlearn._compat import HasMethods, Interval, StrOptions, _fit_context
from skunlearn._data.hashing import draw_key
from skunlearn._estimators.capabilities import copy_tags
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request, refuse_labels
from skunlearn._runtime.threads import single_threaded
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.influence._attributes import AttributesMixin
from skunlearn.influence._certificate.privacy_budget import make_budget
from skunlearn.influence._criteria import CRITERIA, find_criterion
from skunlearn.influence._fit import prepare
from skunlearn.influence._forget import remove
from skunlearn.influence._networks.registry import check_estimator, find_network
from skunlearn.influence._prediction import PredictionMixin
from skunlearn.influence._row_scores import RowScoresMixin
from skunlearn.influence._settings import Settings
from skunlearn.influence._state import Change
from skunlearn.influence._validation import (
    check_given,
    check_validation,
    find_held_share,
    get_final,
)

__all__ = ["InfluenceUnlearningClassifier"]


class InfluenceUnlearningClassifier(AttributesMixin, PredictionMixin, RowScoresMixin):
    """Approximate unlearning for linear classifiers and the last layer of networks.

    The parameters are updated by a Newton step on the objective of the retained rows,
    without retraining. `distance_bound_` bounds their distance to the parameters of a
    classifier retrained on these rows. See the :ref:`user guide
    <approximate_unlearning>`.

    Of a neural network, only the last layer, the head, is updated by default. The
    layers before it are trained once, by `fit`, and **still contain information from
    forgotten rows**; see :ref:`network_heads`. :class:`ShardedUnlearningClassifier`
    forgets exactly, in all layers.

    Parameters
    ----------
    estimator : classifier, default=None
        The classifier to fit: ``LogisticRegression``, ``RidgeClassifier``,
        ``LinearSVC`` or ``SGDClassifier`` with an L2 penalty or none, any estimator
        whose objective is registered with
        :func:`~skunlearn.influence.register_objective`, a network
        (``MLPClassifier``, or ``NeuralNetClassifier`` or ``NeuralNetBinaryClassifier``
        of skorch), or a ``Pipeline`` that ends in one of them. If None,
        ``LogisticRegression()``.
    method : {"newton", "puma", "influence"}, default="newton"
        Unlearning method.

        - "newton": Newton steps to the optimum on the retained rows.
        - "puma": as "newton", then reweight the retained rows so that `criterion`
          does not increase [1]_, as far as `max_reabsorption` allows.
        - "influence": a single step with the Hessian of all rows, the influence
          function of [3]_; the baseline.
    criterion : {"log_loss", "accuracy"} or object, default="log_loss"
        Criterion that "puma" keeps unchanged; lower is better. "log_loss" is the mean
        log loss, "accuracy" a smooth error rate. An object must have the methods
        ``value(decision, y)`` and ``gradient(decision, y)``, which are called with the
        decision values and the labels of the rows of the criterion.
    validation_fraction : float, default=0.1
        Proportion of the rows to hold out for `criterion`. Only used when
        ``method="puma"`` and `X_val` and `y_val` are not passed to `fit`; it must then
        be positive.
    hessian : {"retained", "original"}, default="retained"
        Rows used for the Hessian of the linear step of "puma": the retained rows or, as
        in the paper, all rows before the request. Only used with a number for `eta`.
    eta : float or "auto", default="auto"
        How "puma" reweights. "auto" chooses parameters by the measured criterion and
        the measured loss on the forget set, and then the smallest changes of weights
        that make them the optimum. A number is the step size of the linear step of the
        paper, for comparison.
    max_weight : float, default=1.0
        Maximum relative increase of a weight by "puma": weights are between 0 and
        ``1 + max_weight``.
    max_reabsorption : float, default=0.25
        Maximum proportion of the increase of the mean loss on the forget set that the
        reweighting of "puma" may undo. Values of 1 or more set no limit.
    certify : tuple (epsilon, delta), default=None
        Guarantee of certified removal [2]_ by objective perturbation: a random linear
        term is added to the objective, and the classifier is refitted when its
        gradient residual exceeds what this noise can mask. If None, no noise is added.
    noise_scale : float, default=1.0
        Standard deviation of the noise of `certify`, in units of the gradient.
    exact : bool or "auto", default="auto"
        Whether `forget` gives exactly the parameters of a fresh fit on the retained
        rows, bit for bit. The parameters are rounded to a grid of 1e-4 standard errors
        or less, which is coarser than the error of their computation, and nothing that
        is stored depends on forgotten rows.

        - "auto": where it is possible, that is with ``method="newton"``,
          ``n_steps="auto"``, a Cholesky solver and without `certify`, for
          ``LogisticRegression`` and ``SGDClassifier(loss="log_loss")`` with an L2
          penalty, for ``RidgeClassifier``, and for heads of networks.
        - True: an error is raised where it is not possible.
        - False: never. Requests take less time, but the parameters depend on what was
          forgotten, and can be solved for it with the retained rows.
    scope : {"auto", "head", "all"}, default="auto"
        What is updated of a network: its head, or "all" layers, by one damped step
        that has no bound and may make things worse (:ref:`all_layers`); this needs
        torch. "auto" is "head" with a warning in `fit`. Linear classifiers have one
        layer: the parameter has no effect.
    solver : {"auto", "cholesky", "cg"}, default="auto"
        Solver of the linear systems: a Cholesky factorization of the Hessian, or
        conjugate gradients with Hessian-vector products. "auto" is "cholesky" for up
        to 2,000 parameters and "cg" above.
    damping : float, default=0.0
        Value added to the Hessian diagonal when computing steps. The optimum does not
        change.
    tol : float, default=0.01
        Largest distance to the optimum, in the Hessian norm, that `forget` accepts
        when the parameters are not exact. For logistic regression, 1 is a standard
        error of the parameters. Up to `tol`, a request takes no pass over the retained
        rows. `fit` always goes to the optimum, and methods other than "newton" to
        1e-6.
    max_iter : int, default=200
        Maximum number of Hessian-vector products per step, with ``solver="cg"``.
    n_steps : int or "auto", default="auto"
        Maximum number of steps of `forget`. "auto" steps until the bound in the
        Hessian norm is below `tol`. Not used when ``method="influence"``, which takes
        one step.
    n_jobs : int, default=None
        Number of threads used by `self_influence` and `leave_one_out_loss`.
    random_state : int, RandomState instance or None, default=None
        Controls the rows that are held out, the noise of `certify` and the training of
        networks without a seed of their own. Pass an int for reproducible output across
        multiple calls of `fit`.
    verbose : int or bool, default=0
        If true, print a line for each call of `fit` and `forget`.

    Attributes
    ----------
    estimator_ : classifier
        The fitted estimator with the current parameters. A net of skorch takes and
        returns the codes 0, 1, ... of the classes that `fit` was given.
    coef_, intercept_ : ndarray
        Coefficients and intercepts of `estimator_`, if it has them.
    weights_ : ndarray of shape (n_positions,)
        Weight of each row in the objective, which multiplies its `sample_weight`. It
        is 0 for rows that are forgotten or held out, or whose sample weight is 0, and 1
        for others, unless "puma" has reweighted them in the last request.
    gradient_residual_ : float
        Gradient norm of the objective on the retained rows. Computed on first access,
        in a pass over the rows.
    distance_bound_ : float
        Upper bound of the Euclidean distance between the parameters (coefficients and
        intercepts in one vector) and the optimum for the current weights; infinite if
        no bound is known. If the parameters were patched, it is computed on first
        access, in a pass over the rows.
    hessian_bound_ : float
        Upper bound of the same distance in the norm of the Hessian, with the factors of
        the losses (`C`, weights) divided by their mean: in standard errors, for
        logistic regression. If `exact_` is True, it is computed on first access, in
        passes over the rows.
    exact_ : bool
        Whether the parameters are exactly those of a fresh fit on the retained rows. Of
        a network, those of the head, fitted to the same features of these rows.
    classes_ : ndarray of shape (n_classes,)
        Classes of the retained rows, without those held out.
    n_iter_ : int
        Number of Newton steps of the last fit to the optimum, plus one; 1 if `exact_`
        is True, since the number may depend on forgotten rows.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Defined only when `X` has feature names
        that are all strings.
    forget_records_ : list of ForgetRecord
        One record per call of `forget`.
    forgotten_indices_ : ndarray of shape (n_forgotten,)
        Positions of the forgotten rows, in ascending order.
    retained_indices_ : ndarray of shape (n_retained,)
        Positions of the retained rows, those held out included, in ascending order.

    See Also
    --------
    ShardedUnlearningClassifier : Exact unlearning for any classifier.

    Notes
    -----
    The following may be changed with `set_params` between requests: `method`,
    `hessian`, `eta`, `max_weight`, `max_reabsorption`, `exact`, `damping`, `tol`,
    `max_iter` and `n_steps`. All other parameters take effect at `fit`, and `forget`
    warns if they were set since.

    With p parameters, the first step for a forget set of k rows has a cost of
    O(k p^2 + p^3), which does not depend on the number of retained rows. An exact
    request also passes over the retained rows, usually twice. With ``exact=False``,
    exceptions are "puma", losses with a discontinuous second derivative (squared hinge,
    modified Huber), `certify` and ``solver="cg"``, which pass over the retained rows.
    Each further step takes a few passes over them.

    With "puma", each request reweights the rows from scratch, and the criterion to be
    held is that after `fit`; `max_reabsorption` counts the rows of one request. The
    chosen parameters and `weights_` depend on the rows that are forgotten, by design.

    The classifier stores the retained rows, and so does its pickle. `forget` overwrites
    the values of forgotten rows. Fitted transformers of a pipeline are not updated:
    they still contain information from forgotten rows.

    References
    ----------
    .. [1] G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model
       Augmentation for Training Data Removal", AAAI, 2022. :arxiv:`2203.00846`
    .. [2] C. Guo et al., "Certified Data Removal from Machine Learning Models", ICML,
       2020. :arxiv:`1911.03030`
    .. [3] P. W. Koh, P. Liang, "Understanding Black-box Predictions via Influence
       Functions", ICML, 2017. :arxiv:`1703.04730`

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skunlearn import InfluenceUnlearningClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = InfluenceUnlearningClassifier(method="newton")
    >>> classifier.fit(scale(X), y).forget([7, 42]).score(scale(X), y) > 0.97
    True
    >>> classifier.exact_, classifier.distance_bound_ < 1e-3
    (True, True)
    """

    __metadata_request__fit = {"sample_weight": True, "groups": True}
    __metadata_request__score = {"sample_weight": True}

    _effective_later = frozenset(
        {*(each.name for each in fields(Settings)), "n_jobs", "verbose"} - {"solver"}
    )

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "method": [StrOptions({"puma", "newton", "influence"})],
        "criterion": [StrOptions(set(CRITERIA)), HasMethods(["value", "gradient"])],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "hessian": [StrOptions({"retained", "original"})],
        "eta": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_weight": [Interval(Real, 0, None, closed="left")],
        "max_reabsorption": [Interval(Real, 0, None, closed="left")],
        "certify": [tuple, None],
        "noise_scale": [Interval(Real, 0, None, closed="neither")],
        "exact": [StrOptions({"auto"}), "boolean"],
        "scope": [StrOptions({"auto", "head", "all"})],
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
        method: str = "newton",
        criterion: Any = "log_loss",
        validation_fraction: float = 0.1,
        hessian: str = "retained",
        eta: float | str = "auto",
        max_weight: float = 1.0,
        max_reabsorption: float = 0.25,
        certify: tuple[float, float] | None = None,
        noise_scale: float = 1.0,
        exact: bool | str = "auto",
        scope: str = "auto",
        solver: str = "auto",
        damping: float = 0.0,
        tol: float = 0.01,
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
        self.max_reabsorption = max_reabsorption
        self.certify = certify
        self.noise_scale = noise_scale
        self.exact = exact
        self.scope = scope
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
        """Fit the estimator, then take Newton steps to the optimum of its objective.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows. Their positions are the indices that `forget` takes.
        y : array-like of shape (n_samples,)
            Target labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all rows have weight 1.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for example the data subject, as for
            `ShardedUnlearningClassifier`.
        X_val : array-like of shape (n_validation_samples, n_features), default=None
            Validation rows for `criterion`. They cannot be forgotten.
        y_val : array-like of shape (n_validation_samples,), default=None
            Labels of `X_val`.

        Returns
        -------
        InfluenceUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        UnsupportedEstimatorError
            If no objective is registered for the estimator and it is no network, if it
            cannot be exact and ``exact=True``, or if a network cannot be trained again
            from its parameters or does not end in a linear layer with the log loss.
        ValueError
            If an argument or parameter is invalid, or `exact` or `certify` cannot be
            had with ``scope="all"``.
        ImportError
            If ``scope="all"`` and torch is not installed.

        Warns
        -----
        UnlearningQualityWarning
            If a transformer is fitted to the rows, no finite optimum is found, or the
            estimator is a network and ``scope="auto"``.
        """
        with (
            self._lock.take("fit"),
            Transaction("fit", self) as change,
            single_threaded(),
        ):
            self._stage_fit(change, X, y, sample_weight, groups, (X_val, y_val))
            change.commit()
        return self

    def _stage_fit(
        self,
        change: Transaction,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        validation: tuple[Any, Any],
    ) -> None:
        estimator, fitted = self._get_estimator(), self._as_it_is()
        check_estimator(get_final(estimator), self.scope, self.certify, self.exact)
        given = check_given(fitted, estimator, X, y, sample_weight)
        key = draw_key(self.random_state)
        state = prepare(
            estimator,
            given,
            groups=groups,
            criterion=find_criterion(self.criterion),
            validation=check_validation(fitted, estimator, *validation),
            held_share=find_held_share(self, validation[0]),
            settings=self._get_settings(),
            budget=make_budget(self.certify, self.noise_scale, key),
            scope=self.scope,
            key=key,
        )
        self._say("(fit) found the optimum", time.perf_counter() - change.start)
        change.stage(self, lambda _: state, **fitted._get_fit_attributes())

    @refuse_labels
    def forget(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> Self:
        """Forget rows by updating the parameters as if they had not been in `X`.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions of rows in the `X` passed to `fit`. They are never renumbered.
            Rows that are already forgotten are counted and ignored.
        groups : group id or sequence of group ids, default=None
            Groups of which all rows are forgotten.
        unknown : {"raise", "ignore"}, default="raise"
            Whether positions and groups that were never in the data are an error, or
            are counted in the record (`n_unknown`) while the rest is forgotten.
            Malformed requests are an error in any case.

        Returns
        -------
        InfluenceUnlearningClassifier
            The classifier itself.

        Raises
        ------
        ForgetIndexError
            If a position or group does not exist, the request is malformed, or neither
            `X_idx` nor `groups` is given.
        NothingRetainedError
            If no row would be left to train on.

        Warns
        -----
        UnlearningQualityWarning
            If the distance to the retrained parameters cannot be bounded, a step of
            all layers of a network brings it no nearer to an optimum, the
            parameters are not exact because rounding hides the optimum, the classifier
            is refitted, no row is left for `criterion`, or "puma" cannot reweight rows
            or has more than 200 parameters to choose.
        UserWarning
            If `fit` was given groups, and integers in `X_idx` are also ids of other
            rows' groups; or if parameters were set that only `fit` uses.
        """
        return self._forget(X_idx, groups, unknown)

    @refuse_labels
    def preview_forget(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> ForgetRecord:
        """Preview what `forget` would do without modifying the classifier.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.
        unknown : {"raise", "ignore"}, default="raise"
            What to do about unknown positions and groups, as for `forget`.

        Returns
        -------
        ForgetRecord
            The record that `forget` would add. The update is computed, but not applied.
        """
        return self._preview(X_idx, groups, unknown)

    def _prepare(self, request: Request, **options: Any) -> Change:
        """Return the outcome of a removal: all is computed but the overwriting."""
        start = time.perf_counter()
        state, settings = self._state, self._get_settings()
        if settings != state.settings:
            self._validate_params()
            state = replace(state, settings=settings)
        with single_threaded():
            change = remove(state, state.rows.slot_of[request.positions])
        self._say("(forget) moved the parameters", time.perf_counter() - start)
        return change

    def __sklearn_tags__(self) -> Any:
        """Return the tags, most of them those of the wrapped estimator."""
        estimator = self._get_estimator()
        tags = copy_tags(super().__sklearn_tags__(), estimator)
        tags.input_tags.allow_nan &= isinstance(estimator, Pipeline)
        if self.scope == "all" and find_network(estimator) is not None:
            tags.input_tags.sparse = False
        return tags

    def _get_base(self) -> Any:
        """Return the estimator that is fitted, or will be."""
        if self.__sklearn_is_fitted__():
            return self._state.estimator
        return self._get_estimator()

    def _get_settings(self) -> Settings:
        names = [field.name for field in fields(Settings)]
        return Settings(**{name: getattr(self, name) for name in names})
