"""Laws 1, 2, 3, 5, 7 and 8 at once: any stream of requests, against a fresh fit.

As a fresh fit knows nothing of the stream, neither the order of requests nor how they
are put together can matter where all of these tests pass.
"""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from request_streams import COPIES, FIRST, N, Stream
from support import CASES, thin

# Every way to train, to vote and to part the rows is in one of them.
CONFIGURATIONS = [
    ("forest", "replicas"),
    ("sgd", "all"),
    ("mlp", "sequential"),
    ("bayes", "cumulative"),
    ("logistic", "class_slices"),
    ("svc", "class_or_rest"),
    ("mixture", "class_sequence"),
    ("density", "class_hard"),
]

requests = st.one_of(
    st.lists(st.integers(0, N - 1), min_size=1, max_size=4),
    st.lists(st.integers(0, N - 1), min_size=1, max_size=N),
)


class RequestMachine(RuleBasedStateMachine):
    """Steps in any order; after each the classifier is what it ought to be."""

    def __init__(self, base, layout):
        super().__init__()
        self.case = base, layout

    @initialize(grouped=st.booleans())
    def fit(self, grouped):
        """Start a stream."""
        self.stream = Stream(*self.case, grouped=grouped)

    @rule(request=requests)
    def forget(self, request):
        """Rows go at once."""
        self.stream.forget(request)

    @rule(request=requests)
    def defer(self, request):
        """Rows go, and training waits."""
        self.stream.forget(request, retrain=False)

    @rule()
    def retrain(self):
        """What waits is trained."""
        self.stream.retrain()

    @precondition(lambda self: self.stream.n_seen < N)
    @rule(n_rows=st.integers(1, N - FIRST))
    def add(self, n_rows):
        """New rows come."""
        self.stream.add(n_rows)

    @rule(row=st.integers(0, N - 1))
    def forget_class(self, row):
        """A class goes as a whole."""
        self.stream.forget_class(row)

    @rule()
    def forget_last_batch(self):
        """The rows that came last go."""
        self.stream.forget_last_batch()

    @rule(kind=st.sampled_from(sorted(COPIES)))
    def go_on_with_a_copy(self, kind):
        """The stream goes on with a copy, and the original stays as it was."""
        self.stream.go_on_with_a_copy(kind)

    @invariant()
    def is_exact(self):
        """Bit for bit a fresh fit, and no trace of the rest."""
        self.stream.check()


def run(base, layout, how):
    """Run the machine on one case."""
    run_state_machine_as_test(lambda: RequestMachine(base, layout), settings=how)


@pytest.mark.parametrize(("base", "layout"), CONFIGURATIONS)
def test_any_stream(base, layout, examples):
    """Steps in any order, for few cases."""
    run(base, layout, examples(4, stateful_step_count=10))


@pytest.mark.thorough
@pytest.mark.parametrize(("base", "layout"), CASES)
def test_any_stream_of_any_case(base, layout, examples):
    """Steps in any order, for all cases."""
    run(base, layout, examples(1, stateful_step_count=10))


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 7))
def test_walk(base, layout):
    """One stream with every kind of step, for every base in every layout."""
    Stream(base, layout, grouped=CASES.index((base, layout)) % 2 == 1).walk()
