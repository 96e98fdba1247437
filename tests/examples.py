"""How much is tried: how many examples by Hypothesis, and which cases only by `make test-all`."""

import os

import pytest
from _pytest.mark import ParameterSet
from hypothesis import HealthCheck, Phase, settings

# TOTESYS_EXAMPLES=20 tries twenty times as many.
TIMES = int(os.environ.get("TOTESYS_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Settings for a test with so many examples, which may share fixtures and take their time.

    A failing example is shown as it is: to find a smaller one would take minutes where each takes a second.
    """
    return settings(
        max_examples=count * TIMES,
        phases=[Phase.explicit, Phase.generate],
        print_blob=True,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def long(*parameters: object) -> list[ParameterSet]:
    """Parameters that `make test-all` tries and `make test` does not."""
    return [pytest.param(*_values(one), marks=pytest.mark.long) for one in parameters]


def alone(*parameters: object) -> list[ParameterSet]:
    """Parameters that only `make faults` tries: another one has them all together."""
    return [pytest.param(*_values(one), marks=pytest.mark.alone) for one in parameters]


def _values(parameter: object) -> tuple[object, ...]:
    return parameter if isinstance(parameter, tuple) else (parameter,)


def rounds(first: int, all_: int) -> list[ParameterSet | int]:
    """The numbers of a test's rounds; `make test` goes through the first ones."""
    return [*range(first), *long(*range(first, all_ * TIMES))]
