"""Report progress to scikit-learn's callbacks, where it has them."""

from typing import Any

from skunlearn._compat import HAS_CALLBACKS

__all__ = ["Progress"]


class Progress:
    """Progress of one method through its tasks, told to the estimator's callbacks.

    Parameters
    ----------
    estimator : estimator
        The estimator whose callbacks are told.
    method : str
        Name of the method at work.
    n_tasks : int
        How many tasks it has.
    """

    def __init__(self, estimator: Any, method: str, n_tasks: int) -> None:
        self._estimator = estimator
        self._context = None
        has_listeners = any(
            hasattr(estimator, name)
            for name in ("_skl_callbacks", "_parent_callback_ctx")
        )
        if HAS_CALLBACKS and has_listeners:
            self._context = estimator._init_callback_context(
                task_name=method, max_subtasks=n_tasks
            ).call_on_fit_task_begin(estimator=estimator)

    def finish_task(self, name: str) -> None:
        """Report that one more task is done."""
        if self._context is not None:
            task = self._context.subcontext(task_name=name)
            task.call_on_fit_task_begin(estimator=self._estimator)
            task.call_on_fit_task_end(estimator=self._estimator)

    def finish(self) -> None:
        """Report that all is done."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator)
