"""The small cases under pytest-benchmark, in groups whose tables compare the providers: `pytest bench --benchmark-enable`.

Every provider is checked before it is timed, as in `python -m bench run`, but in this one process and without memory.
"""

import pytest

from .cases import suite
from .operators import OPERATORS
from .providers import PROVIDERS, unavailable
from .worker import Session

CASES = [
    pytest.param(case, provider, id=f"{case.operator}-{provider}")
    for case in suite("quick")
    for provider in OPERATORS[case.operator].builders()
    if case.runs(provider)
]


@pytest.mark.parametrize(("case", "provider"), CASES)
def test_forward_backward(benchmark, case, provider):
    reason = unavailable(provider, "cpu")
    if reason is not None:
        pytest.skip(f"{PROVIDERS[provider].title}: {reason}")
    session = Session(provider, "cpu")
    session.prepare(case)
    (call,) = session.calls
    benchmark.group = f"{OPERATORS[case.operator].title}, {case.label}"
    benchmark.pedantic(lambda: call.backward(call.forward()), warmup_rounds=2, rounds=20)
