"""The only importer of private scikit-learn names, and of names not in every version.

Everything here is either private in scikit-learn (and could move) or newer than the
oldest version that skunlearn supports.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._user_interface import _message_with_time
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
)

Method = TypeVar("Method", bound=Callable[..., Any])

if TYPE_CHECKING:
    # As scikit-learn ships no types, what its decorators return would be Any.
    CallbackSupportMixin: Any

    def _fit_context(
        *, prefer_skip_nested_validation: bool
    ) -> Callable[[Method], Method]: ...

    def with_callbacks(method: Method) -> Method: ...

else:
    from sklearn.base import _fit_context

    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:  # scikit-learn < 1.9
        CallbackSupportMixin = type("CallbackSupportMixin", (), {})

        def with_callbacks(method):
            """Return the method as it is: this scikit-learn has no callbacks."""
            return method


# Whether class_weight="balanced" weighs classes by sample weights (1.7 on), not rows.
_parameters = inspect.signature(compute_class_weight).parameters
BALANCED_COUNTS_WEIGHTS = "sample_weight" in _parameters

__all__ = [
    "BALANCED_COUNTS_WEIGHTS",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_feature_names",
    "_check_n_features",
    "_check_sample_weight",
    "_fit_context",
    "_message_with_time",
    "_routing_enabled",
    "validate_parameter_constraints",
    "with_callbacks",
]
