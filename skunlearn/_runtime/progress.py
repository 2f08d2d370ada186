"""Report progress to scikit-learn's callbacks, where it has them."""

from typing import Any

__all__ = ["LISTENED", "Progress"]

# An estimator has one of these attributes if its callbacks are to be told.
LISTENED = ("_skl_callbacks", "_parent_callback_ctx")


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
        self._context = estimator._init_callback_context(
            task_name=method, max_subtasks=n_tasks
        ).call_on_fit_task_begin(estimator=estimator)

    def finish_task(self, name: str) -> None:
        """Report that one more task is done."""
        task = self._context.subcontext(task_name=name)
        task.call_on_fit_task_begin(estimator=self._estimator)
        task.call_on_fit_task_end(estimator=self._estimator)

    def finish(self) -> None:
        """Report that all is done."""
        self._context.call_on_fit_task_end(estimator=self._estimator)
