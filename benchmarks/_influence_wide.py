"""A model of many parameters, whose Hessian is never formed."""

from collections.abc import Iterator
from pathlib import Path

from _influence_digits import HINT, has_mnist, load_mnist
from _influence_requests import format_request_header, measure_request
from _memory import can_measure, run_alone
from _timing import Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_memory", "bench_wide"]

_SCRIPT = str(Path(__file__).parent / "_influence_memory.py")
_LAMBDA = 1e-3


def bench_wide(scale: Scale) -> Iterator[str | Row]:
    """Softmax on 784 x 10 of MNIST: 7,850 parameters, lambda 1e-3.

    Columns are those of "speed"; newton-cholesky would need Hessians of 493 MB.
    """
    if not has_mnist():
        yield HINT
        return
    X, y = load_mnist()
    X, y = X[:: 10 if scale.quick else 1], y[:: 10 if scale.quick else 1]
    model = LogisticRegression(C=1 / (len(y) * _LAMBDA), max_iter=1_000)
    ours = InfluenceUnlearningClassifier(model, exact=False)
    seconds = time_call(lambda: ours.fit(X, y))
    plain = time_call(lambda: model.fit(X, y))
    fits = f"fitted in {format_seconds(seconds)}, plain in {format_seconds(plain)}"
    yield f"\n  {len(y):,} rows; {fits}."
    yield format_request_header()
    for n_forgotten in (100,) if scale.quick else (1, 100):
        repeats = scale.repeats(3)
        yield str(
            measure_request(ours, X, y, n_forgotten, repeats=repeats, with_newton=False)
        )


def bench_memory(scale: Scale) -> Iterator[str | Row]:
    """Peaks of resident memory, each in a process of its own.

    Tall is rows of 20 features, wide is softmax on MNIST. The user's X counts for fit,
    and for the plain fit of LogisticRegression; forget is without it.
    """
    if not can_measure():
        yield "skipped: this system does not report peaks."
        return
    n_samples = scale.size(1_000_000)
    used = run_alone(_SCRIPT, "tall", str(n_samples))
    yield _row_of_share(
        f"tall, {n_samples:,} rows: fit", used["fit"], used["X"], "X", 2.4
    )
    for name in ("forget 100 rows", "forget 10 more"):
        yield _row_of_share(f"tall: {name}", used[name], used["held"], "held", 1.2)
    if not has_mnist():
        yield HINT
        return
    used = run_alone(_SCRIPT, "wide", str(scale.size(5_000)))
    for name in ("fit", "forget 100 rows", "forget 10 more"):
        over = (used[name] - used["plain"]) / 1e6
        words = f"{used[name] / 1e6:.0f} MB", f"{used['plain'] / 1e6:.0f} MB plain fit"
        yield Row(f"wide: {name}, over the plain fit", *words, over, "MB", at_most=200)
    growth = (used["held after"] - used["held"]) / 1e6
    words = f"{used['held after'] / 1e6:.0f} MB", f"{used['held'] / 1e6:.0f} MB before"
    yield Row("wide: held after 11 requests", *words, growth, "MB", at_most=5)


def _row_of_share(case: str, peak: int, other: int, name: str, limit: float) -> Row:
    words = f"{peak / 1e6:.0f} MB", f"{other / 1e6:.0f} MB {name}"
    return Row(case, *words, peak / other, at_most=limit)
