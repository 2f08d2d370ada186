"""Set-up of all tests: threads, and the three levels at which they are run."""

import os
import signal

import pytest

# One thread each for BLAS and OpenMP, set before either is loaded: tests of this size
# only lose by more, by a factor of hundreds where cores are shared.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "reproducible",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("reproducible")

# How many times the examples of a plain run each level tries.
FACTORS = {"plain": 1, "thorough": 5, "exhaustive": 50}


# The sample that is run with the oldest dependencies: what meets their versions.
MINIMUM = (
    "tests/data/",
    "tests/estimators/test_few_rows.py",
    "tests/estimators/test_weights.py",
    "tests/influence/test_no_trace.py",
    "tests/influence/test_routing.py",
    "tests/runtime/test_parallel.py",
    "tests/sharding/test_exactness.py",
    "tests/sharding/test_no_trace.py",
    "tests/sharding/test_request_streams.py",
    "tests/sharding/test_routing.py",
    "tests/sharding/selection/test_selection.py",
)


def pytest_addoption(parser):
    """Add an option for each level beyond the plain one."""
    group = parser.getgroup("skunlearn")
    group.addoption(
        "--thorough",
        action="store_true",
        help="run what a plain run leaves out, and properties on more examples",
    )
    group.addoption(
        "--exhaustive",
        action="store_true",
        help="run what takes longer still, and properties on many more examples",
    )


def pytest_configure():
    """Listen to Ctrl-C, which a job in the background of a shell does not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def get_level(config):
    """Return the level of a run."""
    levels = ("exhaustive", "thorough")
    return next((level for level in levels if config.getoption(level)), "plain")


def belongs(item, level):
    """Whether a test is new at a level: by its marker, or by its examples."""
    markers = [m for m in ("exhaustive", "thorough") if item.get_closest_marker(m)]
    own = markers[0] if markers else "plain"
    return own == level or (level != "plain" and has_examples(item))


def has_examples(item):
    """Whether a test has more examples at a higher level."""
    is_property = getattr(item.obj, "is_hypothesis_test", False)
    return is_property or "examples" in item.fixturenames


def pytest_ignore_collect(collection_path, config):
    """Leave modules alone that ask for libraries which the sample does without."""
    place = collection_path.relative_to(config.rootpath).as_posix()
    is_left_out = collection_path.suffix == ".py" and not place.startswith(MINIMUM)
    return True if config.option.markexpr == "minimum" and is_left_out else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Keep the tests of the level, with as many examples."""
    for item in items:
        if item.nodeid.startswith(MINIMUM):
            item.add_marker("minimum")
    level = get_level(config)
    chosen = [item for item in items if belongs(item, level)]
    rest = [item for item in items if not belongs(item, level)]
    config.hook.pytest_deselected(items=rest)
    items[:] = chosen
    for test in {item.obj for item in chosen if hasattr(item.obj, "hypothesis")}:
        given = test._hypothesis_internal_use_settings
        more = given.max_examples * FACTORS[level]
        test._hypothesis_internal_use_settings = settings(given, max_examples=more)


@pytest.fixture
def examples(request):
    """Return the settings of so many examples, for tests without a decorator."""
    factor = FACTORS[get_level(request.config)]
    return lambda number, **others: settings(max_examples=number * factor, **others)
