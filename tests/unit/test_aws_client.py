"""A request to AWS takes a bounded time, and at least as long as a long poll."""

from typing import Any

from totesys.aws_client import CLIENT_CONFIG

# The class is made of its options at run time.
CONFIG: Any = CLIENT_CONFIG
LONGEST_POLL = 20
# The client's back-off before its tries: at most so many seconds.
PAUSES = (0, 1, 2, 4, 8, 16)


def test_a_silent_server_is_given_up_after_about_two_minutes() -> None:
    tries = CONFIG.retries["total_max_attempts"]
    assert tries >= 3
    assert tries * CONFIG.read_timeout + sum(PAUSES[:tries]) < 130
    assert tries * CONFIG.connect_timeout + sum(PAUSES[:tries]) < 60


def test_a_long_poll_has_time_to_end() -> None:
    assert CONFIG.read_timeout >= LONGEST_POLL + 5
