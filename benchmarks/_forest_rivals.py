"""What others take to forget, measured if they install, else quoted."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _forest_data import Split
from _timing import Scale
from sklearn.metrics import accuracy_score

__all__ = ["HessboostRival", "quote_rivals"]

# Shares of the refit of RandomForest(100) on the same rows; none of them was run here.
_QUOTED = (
    (
        "DaRE, defaults",
        "accuracy .8575, fit 1/0.8, row 1/530, 100 rows 1/10, 1 % 1/5.5",
    ),
    (
        "DynFrs, k=10, depth 20",
        "accuracy .856-.859, fit 1/4, row 1/4400, 100 rows 1/40, 1 % 1/90 if lazy",
    ),
)


def quote_rivals(name: str) -> Iterator[str]:
    """Yield what is known of two forests in C++ that forget, for the census."""
    if name == "census":
        for rival, numbers in _QUOTED:
            yield f"  {rival + ', quoted':34} {numbers}"


class HessboostRival:
    """Gradient boosting that deletes rows.

    Parameters
    ----------
    exact : bool
        Whether the result is that of a retraining, or near it.
    """

    def __init__(self, exact: bool) -> None:
        import hessboost
        from hessboost import online

        self._library, self._online = hessboost, online
        self._mode = online.Exact() if exact else online.Approximate()
        self.name = f"hessboost, {'exact' if exact else 'approximate'}"

    def compare(self, split: Split, refit: float, scale: Scale) -> Iterator[str]:
        """Yield its line. It has threads of its own, so all of them are counted."""
        if len(np.unique(split.y)) > 2:
            yield f"  {self.name:34} takes two classes only"
            return
        parameters = {"objective": "binary:logistic", "tree_method": "hist"}
        parameters |= {"max_depth": 6, "nthread": 1}
        data = self._library.DMatrix(split.X, split.y)
        train = self._online.OnlineModel.train
        model: Any = None

        def fit() -> None:
            nonlocal model
            model = train(parameters, data, 100, self._mode)

        seconds = _time_process(fit)
        proba = model.model.predict(self._library.DMatrix(split.X_test))
        accuracy = accuracy_score(split.y_test, np.asarray(proba) > 0.5)
        rows = [
            _time_process(lambda i=i: model.update(deletions=[i]))
            for i in range(scale.repeats(3))
        ]
        percent = np.arange(len(split.y) // 100)
        share = _time_process(lambda: model.update(deletions=percent))
        row = float(np.median(rows))
        yield (
            f"  {self.name:34} accuracy {accuracy:.4f}, fit 1/{refit / seconds:.3g}, "
            f"row 1/{refit / row:.3g}, 1 % 1/{refit / share:.3g}"
        )


def _time_process(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
