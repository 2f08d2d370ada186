"""Seconds and error of forgetting, beside fitting again in three ways."""

from collections.abc import Iterator

from _influence_data import draw_classes
from _influence_requests import Measured, format_request_header, measure_request
from _influence_table import format_error
from _influence_turns import time_ratio
from _timing import Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_speed"]

_MOST_WORK = 2e11  # rows times squared parameters that newton-cholesky may have


def bench_speed(scale: Scale) -> Iterator[str | Row]:
    """Seconds and relative error to the retrained optimum, after each request.

    "nothing" is the distance that the optimum moves. All refits get the rows that stay
    ready for use. Warm ones start at the old optimum itself; in brackets the number of
    steps that they took: 0 is nothing forgotten. The optimum is that of true gradients
    at rounding. Dashes are skipped: too many rows times squared parameters.
    """
    sizes = (10_000, 1_000_000) if scale.quick else (10_000, 100_000, 1_000_000)
    for n_samples in map(scale.size, sizes):
        for n_features in (20,) if scale.quick else (20, 100):
            for n_classes in (2, 10):
                yield from _bench_case((n_samples, n_features, n_classes), scale)


def _bench_case(shape: tuple[int, int, int], scale: Scale) -> Iterator[str | Row]:
    n_samples, n_features, n_classes = shape
    work = n_samples * n_features**2 * (n_classes if n_classes > 2 else 1) ** 2
    title = f"\n  {n_samples:,} rows, d = {n_features}, {n_classes} classes"
    if scale.quick and work > 2e9:
        yield f"{title}: skipped in a quick run."
        return
    X, y = draw_classes(*shape)
    model = LogisticRegression(max_iter=1_000)
    ours = InfluenceUnlearningClassifier(model, exact=False)
    seconds = time_call(lambda: ours.fit(X, y))
    yield f"{title}; fitted in {format_seconds(seconds)}."
    yield format_request_header()
    requests = []
    for n_forgotten in sorted({1, 100, n_samples // 100, n_samples // 10}):
        repeats, with_newton = scale.repeats(5), work <= _MOST_WORK
        requests.append(
            measure_request(
                ours, X, y, n_forgotten, repeats=repeats, with_newton=with_newton
            )
        )
        yield str(requests[-1])
    if shape == (scale.size(1_000_000), 20, 2):
        yield from _judge(requests[1])


def _judge(request: Measured) -> Iterator[Row]:
    arms = request.arms
    for name, words, targets in (
        ("one", "1 step", (1_000, 100)),
        ("auto", "auto", (None, None)),
    ):
        ours = arms[name]
        rivals = (("cold", "cold refit"), ("warm", "warm refit"))
        for (rival, rival_words), target in zip(rivals, targets, strict=True):
            case = f"100 rows, {words}: faster than the {rival_words}"
            ratio = time_ratio(arms[rival], ours)
            yield Row(case, str(ours), str(arms[rival]), ratio, at_least=target)
        error, tight = request.errors[name], request.errors["tight"]
        other = f"{format_error(tight)} warm, 1e-10"
        case = f"100 rows, {words}: relative error"
        yield Row(case, format_error(error), other, error, "", at_most=1e-6)
