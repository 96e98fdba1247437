"""How many examples Hypothesis tries. `--seed` decides which."""

import os

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
