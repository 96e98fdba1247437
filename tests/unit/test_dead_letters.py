"""Which dead letter an id means."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys_cli.command_errors import UsageError
from totesys_cli.dead_letters.letter import HeldDeadLetter, find, select

IDS = st.text("ab", min_size=1, max_size=4)


def letter(id_: str, message_id: str | None = None) -> HeldDeadLetter:
    return HeldDeadLetter("load", id_, datetime(2026, 11, 22, tzinfo=UTC), 0, None, message_id, "{}", {})


def letters(ids: Sequence[str], logged: Sequence[str]) -> list[HeldDeadLetter]:
    return [letter(id_, f"log-{name}") for id_, name in zip(ids, logged, strict=False)]


@given(st.lists(IDS, unique=True, max_size=8), st.lists(IDS, min_size=8, max_size=8), IDS, st.booleans())
@examples(300)
def test_a_prefix_means_the_one_letter_that_it_can_mean(
    ids: list[str], logged: list[str], text: str, of_log: bool
) -> None:
    there, prefix = letters(ids, logged), f"log-{text}" if of_log else text
    meant = [x for x in there if x.id.startswith(prefix) or (x.message_id or "").startswith(prefix)]
    if prefix in ids:
        assert find(there, prefix).id == prefix
    elif len(meant) == 1:
        assert find(there, prefix) == meant[0]
    else:
        with pytest.raises(UsageError, match="Write more of the id" if meant else "No dead letter"):
            find(there, prefix)


@given(st.lists(IDS, unique=True, min_size=1, max_size=8), st.data())
@examples(100)
def test_what_is_named_is_selected_once_and_in_order(ids: list[str], data: st.DataObject) -> None:
    there = [letter(id_) for id_ in ids]
    named = data.draw(st.lists(st.sampled_from(ids), max_size=8))
    assert [x.id for x in select(there, named)] == [id_ for id_ in ids if id_ in named or not named]


def test_an_empty_id_means_nothing_even_if_there_is_only_one_letter() -> None:
    with pytest.raises(UsageError, match="No dead letter"):
        find([letter("a")], "")
