"""Calls that the workers of a dask cluster make, where joblib is to use one.

joblib's own backend moves large arguments to a single worker, and waits forever for a
cluster that is gone. Here a call is one message, which dask sends to another worker if
the first one dies.
"""

import contextlib
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

from joblib.parallel import get_active_backend, parallel_config

__all__ = ["Cluster", "find_cluster", "is_in_worker"]

_AHEAD = 2  # messages for each thread, so that none waits for its next one
_MAX_BYTES = 4_000_000  # of calls that travel in one message
_LARGE = 8_000_000  # dask warns of larger ones, whoever sends them
_POLL = 1.0  # seconds
_PROCESS = uuid4().hex


def find_cluster() -> "Cluster | None":
    """Return the dask cluster that joblib is to use, if there is one."""
    backend = _find_backend()
    if backend is None or is_in_worker():
        return None
    patience, options = backend.wait_for_workers_timeout, backend.submit_kwargs
    return Cluster(backend.client, patience, options)


def is_in_worker() -> bool:
    """Return True if joblib is to use a cluster, and a worker of one runs this.

    Its tasks are many already; those that wait for others could fill the cluster.
    """
    if _find_backend() is None:
        return False
    try:
        sys.modules["distributed"].get_worker()
    except ValueError:
        return False
    return True


def _find_backend() -> Any:
    backend = get_active_backend()[0]
    distributed = sys.modules.get("distributed")
    client = getattr(backend, "client", None)
    is_dask = distributed is not None and isinstance(client, distributed.Client)
    return backend if is_dask else None


class Cluster:
    """A dask cluster.

    Parameters
    ----------
    client : distributed.Client
        The connection to it.
    patience : float
        Seconds to wait for workers while there are none; without limit if 0.
    options : dict
        Keywords of ``client.submit``.
    """

    def __init__(self, client: Any, patience: float, options: dict[str, Any]) -> None:
        self._client = client
        self._patience = patience
        self._options = options
        self._n_threads = 0
        self._checked_at = self._seen_at = time.monotonic()

    def count_threads(self) -> int:
        """Return how many calls its workers can make at a time.

        Raises
        ------
        RuntimeError
            If it cannot be reached, or there has been no worker for too long.
        """
        try:
            self._n_threads = sum(self._client.ncores().values())
        except Exception as error:  # of a connection, in many ways
            raise self._explain("cannot be reached") from error
        self._checked_at = time.monotonic()
        if self._n_threads:
            self._seen_at = self._checked_at
        elif self._patience and self._checked_at - self._seen_at > self._patience:
            raise self._explain(f"has had no workers for {self._patience:g} seconds")
        return self._n_threads

    def run(
        self, function: Callable[[Any, bool], Any], arguments: Iterable[Any], size: int
    ) -> Iterator[Any]:
        """Yield what a function returns for each argument, as results come.

        Few messages are on their way at a time, each of up to `size` arguments. When
        the iterator is closed, those that no worker has begun are cancelled.

        Raises
        ------
        RuntimeError
            If the cluster is gone.
        """
        running: set[Any] = set()
        try:
            for message in _pack(function, arguments, size):
                while len(running) >= _AHEAD * max(self._n_threads, 1):
                    yield from self._receive(running)
                running.add(self._send(message))
            while running:
                yield from self._receive(running)
        finally:
            if running:
                with contextlib.suppress(Exception):  # of a connection that is lost
                    self._client.cancel(list(running), force=True)

    def _send(self, message: "_Message") -> Any:
        key, options = f"skunlearn-{uuid4().hex}", self._options
        try:
            with warnings.catch_warnings():
                if message.size > _LARGE:
                    warnings.filterwarnings("ignore", "Sending large graph")
                return self._client.submit(_answer, message, key=key, **options)
        except Exception as error:
            raise self._explain("takes no tasks") from error

    def _receive(self, running: set[Any]) -> Iterator[Any]:
        """Yield the results of messages that are answered, which are running no more.

        If there are none yet, wait a little.
        """
        if time.monotonic() - self._checked_at > _POLL:
            self.count_threads()
        done = self._wait(running) if len(running) > 1 else set(running)
        for future in done:
            results = self._get(future)
            if results is not None:
                running.discard(future)
                yield from results

    def _wait(self, running: set[Any]) -> set[Any]:
        distributed = sys.modules["distributed"]
        try:
            waited = distributed.wait(
                list(running), timeout=_POLL, return_when="FIRST_COMPLETED"
            )
        except TimeoutError:
            return set()
        except distributed.CancelledError as error:
            raise self._explain("has cancelled tasks, or is closed") from error
        done: set[Any] = waited.done
        return done

    def _get(self, future: Any) -> list[Any] | None:
        distributed = sys.modules["distributed"]
        try:
            results: list[Any] = future.result(timeout=_POLL)
        except TimeoutError:
            if future.done():  # and this is what the task has raised
                raise
            return None
        except distributed.CancelledError as error:
            raise self._explain("has cancelled tasks, or is closed") from error
        except distributed.KilledWorker as error:
            error.add_note(
                "Each of these workers has died while it trained the same shards: the "
                "rows of a shard, and what is trained on them, may need more memory "
                "than a worker has. Use more shards, or larger workers."
            )
            raise
        return results

    def _explain(self, what: str) -> RuntimeError:
        return RuntimeError(
            f"the dask cluster {what}. Start workers or connect a client, and call "
            "this again in a new joblib.parallel_config(backend='dask'); or outside of "
            "one, to train in this process."
        )


class _Message:
    """A function and arguments for it, as bytes; logs do not show what is in them.

    Parameters
    ----------
    parts : list of bytes
        The function, and each of the arguments.
    """

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return sum(map(len, self.parts))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Let bytes travel without a copy."""
        if protocol < 5:
            return _Message, (self.parts,)
        return _Message, ([pickle.PickleBuffer(part) for part in self.parts],)

    def __repr__(self) -> str:
        return f"<{len(self.parts) - 1} tasks of {self.size} bytes>"


def _pack(
    function: Callable[[Any, bool], Any], arguments: Iterable[Any], size: int
) -> Iterator[_Message]:
    """Yield messages with up to `size` arguments."""
    import cloudpickle  # which dask requires

    head = cloudpickle.dumps((function, _PROCESS))
    parts: list[bytes] = [head]
    for argument in arguments:
        parts.append(cloudpickle.dumps(argument))
        if len(parts) > size or sum(map(len, parts)) > _MAX_BYTES:
            yield _Message(parts)
            parts = [head]
    if len(parts) > 1:
        yield _Message(parts)


def _answer(message: _Message) -> list[Any]:
    """Make the calls of a message: this is what a worker runs.

    The function is told whether it has a process of its own.
    """
    function, process = pickle.loads(message.parts[0])
    n_threads = sys.modules["distributed"].get_worker().state.nthreads
    has_process = n_threads == 1 and process != _PROCESS
    with parallel_config(backend="threading"):  # no processes from inside of a worker
        return [function(pickle.loads(part), has_process) for part in message.parts[1:]]
