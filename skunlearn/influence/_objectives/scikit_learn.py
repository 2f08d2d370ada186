"""The objectives of scikit-learn's linear classifiers, as scikit-learn scales them."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

from skunlearn._compat import BALANCED_COUNTS_WEIGHTS
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_form import LinearObjectiveSpec
from skunlearn.influence._objectives.losses import (
    LogLoss,
    ModifiedHuber,
    Softmax,
    SquaredError,
    SquaredHinge,
)
from skunlearn.influence._objectives.registry import (
    make_unsupported,
    register_objective,
)

__all__ = [
    "LinearSVCObjective",
    "LogisticObjective",
    "RidgeObjective",
    "SGDObjective",
]


@register_objective(LogisticRegression)
class LogisticObjective(LinearObjective):
    """C times the log loss, plus half the squared norm of the coefficients."""

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse l1, elastic net and one-vs-rest."""
        penalty = estimator.penalty  # deprecated: l1_ratio and C say it
        l1_ratio = estimator.l1_ratio
        if penalty in ("l1", "elasticnet") or (penalty == "deprecated" and l1_ratio):
            raise make_unsupported(estimator, "an l1 penalty has no Hessian")
        multi_class = getattr(estimator, "multi_class", "deprecated")
        if multi_class not in ("auto", "deprecated"):
            raise make_unsupported(
                estimator, f"multi_class={multi_class!r} is obsolete"
            )
        n_classes = len(getattr(estimator, "classes_", []))
        if estimator.solver == "liblinear" and n_classes > 2:
            raise make_unsupported(estimator, "liblinear fits one class at a time")

    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
        is_free = estimator.penalty is None or np.isinf(estimator.C)
        is_liblinear = estimator.solver == "liblinear"  # penalises the intercept too
        return LinearObjectiveSpec(
            LogLoss() if len(estimator.classes_) == 2 else Softmax(),
            loss_factor=1.0 if is_free else estimator.C,
            coef_penalty=0.0 if is_free else 1.0,
            intercept_penalty=estimator.intercept_scaling**-2 if is_liblinear else 0.0,
            balance_weighted=BALANCED_COUNTS_WEIGHTS,
        )


@register_objective(RidgeClassifier)
class RidgeObjective(LinearObjective):
    """Squared error of targets +1 and -1, plus alpha times the squared norm."""

    is_quadratic = True

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse bounds, and more than one label for a row."""
        if estimator.positive:
            raise make_unsupported(estimator, "positive=True bounds the coefficients")
        if np.ndim(estimator.alpha):
            raise make_unsupported(estimator, "alpha must be one number")
        binarizer = getattr(estimator, "_label_binarizer", None)
        if getattr(binarizer, "y_type_", "").startswith("multilabel"):
            raise make_unsupported(estimator, "it was fitted on several labels per row")

    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
        return LinearObjectiveSpec(SquaredError(), coef_penalty=2.0 * estimator.alpha)


@register_objective(LinearSVC)
class LinearSVCObjective(LinearObjective):
    """C times the squared hinge, plus half the squared norm, the intercept's included.

    The intercept is the coefficient of a feature that is `intercept_scaling` in every
    row.
    """

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse the hinge, l1, and the joint problem of all classes."""
        if estimator.loss != "squared_hinge":
            reason = f"loss={estimator.loss!r} has no Hessian; squared_hinge has"
            raise make_unsupported(estimator, reason)
        if estimator.penalty != "l2":
            raise make_unsupported(estimator, "an l1 penalty has no Hessian")
        if estimator.multi_class != "ovr":
            reason = (
                f"multi_class={estimator.multi_class!r} is another problem than ovr"
            )
            raise make_unsupported(estimator, reason)

    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
        return LinearObjectiveSpec(
            SquaredHinge(),
            loss_factor=estimator.C,
            intercept_penalty=estimator.intercept_scaling**-2,
            one_vs_rest=True,
            balance_weighted=BALANCED_COUNTS_WEIGHTS,
        )


_SGD_LOSSES = {
    "log_loss": LogLoss,
    "modified_huber": ModifiedHuber,
    "squared_hinge": SquaredHinge,
}


@register_objective(SGDClassifier)
class SGDObjective(LinearObjective):
    """The mean loss plus alpha / 2 times the squared norm, multiplied by n."""

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse losses and penalties without a Hessian, and rows held out."""
        if estimator.loss not in _SGD_LOSSES:
            names = ", ".join(_SGD_LOSSES)
            reason = f"loss={estimator.loss!r} is none of those that work: {names}"
            raise make_unsupported(estimator, reason)
        if estimator.penalty not in ("l2", None):
            raise make_unsupported(estimator, "an l1 penalty has no Hessian")
        if estimator.early_stopping:
            reason = "early_stopping=True holds rows out, and stops before the optimum"
            raise make_unsupported(estimator, reason)

    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
        return LinearObjectiveSpec(
            _SGD_LOSSES[estimator.loss](),
            coef_penalty=0.0 if estimator.penalty is None else estimator.alpha,
            penalty_per_row=True,
            one_vs_rest=True,
        )

    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Also overwrite what else saw the rows: averages, and weights of classes."""
        super().write(estimator, theta)
        vars(estimator).pop("_expanded_class_weight", None)  # each fit makes it anew
        for name in set(vars(estimator)) & set(_SGD_COPIES):
            what = "coef_" if name.endswith("coef") else "intercept_"
            setattr(estimator, name, getattr(estimator, what).copy())


_SGD_COPIES = (
    "_average_coef",
    "_average_intercept",
    "_standard_coef",
    "_standard_intercept",
)
