"""Pipelines that forget, and refuse preprocessing that would not."""

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metaestimators import available_if

from skunlearn._estimators.leakage import Leak, find_caches, find_leaks
from skunlearn._records import ForgetRecord
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import LeakyPipelineError, UnsupportedEstimatorError

__all__ = ["UnlearningPipeline", "make_unlearning_pipeline"]


def __dir__() -> list[str]:
    return __all__


_WHAT_TO_DO = (
    "Move these steps inside the classifier, which fits them again: "
    "ShardedUnlearningClassifier(make_pipeline(..., classifier)). Or use stateless "
    "transformers, or a FrozenEstimator around one that was fitted to other data."
)


def _last_step_has(method: str) -> Callable[[Any], bool]:
    """Make a check that the last step has a method."""

    def check(self: "UnlearningPipeline") -> bool:
        getattr(self._final_estimator, method)  # its own AttributeError becomes ours
        return True

    return check


class UnlearningPipeline(Pipeline):
    """Pipeline that ends in an unlearning classifier, and forgets as it does.

    The last step alone forgets. A step before it that is fitted to the rows, such as a
    scaler, would still contain information from forgotten rows: `fit` refuses it.
    Wrap the pipeline instead, as in ``ShardedUnlearningClassifier(make_pipeline(
    StandardScaler(), SVC()))``. See the :ref:`user guide <pipelines_and_searches>`.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        Names and estimators, of which the last is an unlearning classifier. The others
        must be stateless transformers, each a :class:`~sklearn.frozen.FrozenEstimator`,
        or fitted to the number of columns only, see Notes.
    transform_input : list of str, default=None
        Names of metadata that the steps transform, as for
        :class:`~sklearn.pipeline.Pipeline`.
    memory : None, default=None
        Not supported: a cache would keep rows in files. It exists for compatibility
        with :class:`~sklearn.pipeline.Pipeline`.
    verbose : bool, default=False
        If True, print the time that each step takes to fit.
    allow_fitted_steps : bool, default=False
        If True, warn of steps that are fitted to the rows instead of refusing them.

    See Also
    --------
    make_unlearning_pipeline : Construct a pipeline without naming the steps.
    skunlearn.ShardedUnlearningClassifier : Classifier that can wrap a whole pipeline.

    Notes
    -----
    A transformer is stateless if its tag ``requires_fit`` is False, as that of
    `Normalizer`, `Binarizer`, `FunctionTransformer`, `HashingVectorizer` and
    `FeatureHasher`. That the function of a `FunctionTransformer` looks at each row
    alone is not checked.

    Fitted to the number of columns only are `PolynomialFeatures`; with an integer
    `random_state` also `PolynomialCountSketch`, `SkewedChi2Sampler`, `RBFSampler` with
    a number as `gamma`, and the random projections with `n_components` (and `density`)
    given as numbers; and `SimpleImputer` with ``strategy="constant"``, a `fill_value`,
    ``keep_empty_features=True`` and ``add_indicator=False``.

    Pipelines, `FeatureUnion` and `ColumnTransformer` are searched for such steps.
    Resamplers are always refused: the positions of rows would change.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import Normalizer
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.pipeline import UnlearningPipeline
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = ShardedUnlearningClassifier(n_shards=2, random_state=0)
    >>> pipeline = UnlearningPipeline(
    ...     [("normalizer", Normalizer()), ("classifier", classifier)]
    ... )
    >>> pipeline.fit(X, y).forget([3, 4])[-1].forgotten_indices_
    array([3, 4])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **Pipeline._parameter_constraints,
        "allow_fitted_steps": ["boolean"],
    }

    def __init__(
        self,
        steps: Any,
        *,
        transform_input: list[str] | None = None,
        memory: Any = None,
        verbose: bool = False,
        allow_fitted_steps: bool = False,
    ) -> None:
        super().__init__(
            steps, transform_input=transform_input, memory=memory, verbose=verbose
        )
        self.allow_fitted_steps = allow_fitted_steps

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit the classifier to the rows as the steps before it transform them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows. Their positions are the indices that `forget` takes.
        y : array-like of shape (n_samples,), default=None
            Target labels.
        **params : dict of str -> object
            Metadata for the steps, as for :meth:`sklearn.pipeline.Pipeline.fit`:
            prefixed with the name of a step or, where metadata routing is enabled, what
            the steps have requested. ShardedUnlearningClassifier requests `groups` and
            `sample_weight` by default.

        Returns
        -------
        UnlearningPipeline
            The fitted pipeline.

        Raises
        ------
        LeakyPipelineError
            If a step before the classifier would be fitted to the rows.
        UnsupportedEstimatorError
            If the last step is no unlearning classifier.
        """
        self._check_steps()
        super().fit(X, y, **params)
        return self

    def _check_steps(self) -> None:
        """Refuse steps that forget nothing, or warn of them."""
        self._validate_params()
        _refuse(self._find_resamplers())
        self._validate_steps()
        if not hasattr(self._final_estimator, "forget"):
            raise UnsupportedEstimatorError(
                "the last step of UnlearningPipeline must be an unlearning classifier, "
                "which has the method forget, such as ShardedUnlearningClassifier; got "
                f"{self._final_estimator!r}."
            )
        _refuse(self._find_caches())
        leaks = [leak for step in self._list_others() for leak in find_leaks(*step)]
        if leaks and self.allow_fitted_steps:
            warn(
                f"{_describe(leaks)}. Steps are not updated when rows are forgotten: "
                f"they still contain information from forgotten rows. {_WHAT_TO_DO}"
            )
        elif leaks:
            raise LeakyPipelineError(
                f"{_describe(leaks)}. It would still contain information from "
                f"forgotten rows. {_WHAT_TO_DO} For a warning in place of this error, "
                "set allow_fitted_steps=True."
            )

    def _list_others(self) -> list[tuple[str, Any]]:
        """Return the steps before the classifier, named as messages name them."""
        return [(f"step {name!r}", step) for name, step in self.steps[:-1]]

    def _find_resamplers(self) -> Iterator[Leak]:
        for name, step in self._list_others():
            if hasattr(step, "fit_resample"):
                reason = "is a resampler, after which rows have other positions"
                yield Leak(name, step, reason)

    def _find_caches(self) -> Iterator[Leak]:
        if self.memory is not None:
            yield Leak("UnlearningPipeline", self, "has a memory, a cache of rows")
        for step in self._list_others():
            yield from find_caches(*step)

    def __getitem__(self, ind: Any) -> Any:
        """Return a step or, for a slice, a pipeline; without a classifier a plain one.

        The steps themselves are shared, as with scikit-learn's.
        """
        if not isinstance(ind, slice):
            return super().__getitem__(ind)
        part = Pipeline(self.steps, verbose=self.verbose)[ind]
        if not hasattr(part.steps[-1][1] if part.steps else None, "forget"):
            return part
        params = self.get_params(deep=False)
        return type(self)(**{**params, "steps": part.steps})

    @available_if(_last_step_has("forget"))
    def forget(self, X_idx: Any = None, *, groups: Any = None, **options: Any) -> Self:
        """Forget rows, as if they had never been in `X`.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions of rows in the `X` passed to `fit`.
        groups : group id or sequence of group ids, default=None
            Groups of which all rows are forgotten.
        **options : dict of str -> object
            Further arguments of the `forget` of the last step.

        Returns
        -------
        UnlearningPipeline
            The pipeline itself.
        """
        self._final_estimator.forget(X_idx, groups=groups, **options)
        return self

    @available_if(_last_step_has("preview_forget"))
    def preview_forget(
        self, X_idx: Any = None, *, groups: Any = None, **options: Any
    ) -> ForgetRecord:
        """Preview the cost of `forget` without modifying the pipeline.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.
        **options : dict of str -> object
            Further arguments of the `preview_forget` of the last step.

        Returns
        -------
        ForgetRecord
            The record that `forget` would add. Its `seconds` are those of the preview.
        """
        last = self._final_estimator
        record: ForgetRecord = last.preview_forget(X_idx, groups=groups, **options)
        return record

    @available_if(_last_step_has("retrain"))
    def retrain(self) -> Self:
        """Retrain the shards that ``forget(..., retrain=False)`` has deferred.

        Returns
        -------
        UnlearningPipeline
            The pipeline itself.
        """
        self._final_estimator.retrain()
        return self

    @available_if(_last_step_has("has_groups"))
    def has_groups(self, groups: Any) -> np.ndarray:
        """Return which groups the last step knows.

        Parameters
        ----------
        groups : group id or sequence of group ids
            The groups.

        Returns
        -------
        ndarray of bool
            What `has_groups` of the last step returns.
        """
        known: np.ndarray = self._final_estimator.has_groups(groups)
        return known

    @available_if(_last_step_has("find_positions"))
    def find_positions(self, groups: Any) -> np.ndarray:
        """Return the positions of the rows of some groups.

        Parameters
        ----------
        groups : group id or sequence of group ids
            The groups.

        Returns
        -------
        ndarray of int
            What `find_positions` of the last step returns.
        """
        positions: np.ndarray = self._final_estimator.find_positions(groups)
        return positions

    @available_if(_last_step_has("forget_history"))
    def forget_history(self) -> Any:
        """Return the history of requests.

        Returns
        -------
        object
            What `forget_history` of the last step returns.
        """
        return self._final_estimator.forget_history()


def _refuse(leaks: Iterator[Leak]) -> None:
    for leak in leaks:
        raise LeakyPipelineError(
            f"{leak.name} {leak.reason}. Remove it: with it, rows cannot be forgotten "
            "without a trace, and allow_fitted_steps=True does not change that."
        )


def _describe(leaks: list[Leak]) -> str:
    """Return what is wrong with steps, as the beginning of a sentence."""
    return "; ".join(f"{leak.name} {leak.reason}" for leak in leaks)


def make_unlearning_pipeline(
    *steps: Any,
    transform_input: list[str] | None = None,
    memory: Any = None,
    verbose: bool = False,
    allow_fitted_steps: bool = False,
) -> UnlearningPipeline:
    """Construct an UnlearningPipeline from steps, which are named after their types.

    Parameters
    ----------
    *steps : estimators
        Transformers, and an unlearning classifier as the last step.
    transform_input : list of str, default=None
        Names of metadata that the steps transform.
    memory : None, default=None
        Not supported, see :class:`UnlearningPipeline`.
    verbose : bool, default=False
        If True, print the time that each step takes to fit.
    allow_fitted_steps : bool, default=False
        If True, warn of steps that are fitted to the rows instead of refusing them.

    Returns
    -------
    UnlearningPipeline
        The pipeline.

    See Also
    --------
    UnlearningPipeline : Class of the pipelines that this function constructs.

    Examples
    --------
    >>> from sklearn.preprocessing import Normalizer
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.pipeline import make_unlearning_pipeline
    >>> pipeline = make_unlearning_pipeline(Normalizer(), ShardedUnlearningClassifier())
    >>> [name for name, _ in pipeline.steps]
    ['normalizer', 'shardedunlearningclassifier']
    """
    return UnlearningPipeline(
        make_pipeline(*steps).steps,
        transform_input=transform_input,
        memory=memory,
        verbose=verbose,
        allow_fitted_steps=allow_fitted_steps,
    )
