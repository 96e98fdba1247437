"""Dead letters, for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.dead_letters.letter import DeadLetter
from totesys_cli.printable import one_line, printable

# As much of an id as tells it from others; `find` says so where it does not.
ID_CHARACTERS = 8
_REASON_CHARACTERS = 200
_BODY_CHARACTERS = 60
_NO_REASON = "none given: SQS moved it, because it was received too often"


def to_table(letters: Sequence[DeadLetter]) -> Table:
    """A line for each letter, with the beginning of its id, of its reason and of its body."""
    table = Table(
        *(Column(name, no_wrap=True) for name in ("stage", "id", "sent (UTC)")),
        Column("received", justify="right"),
        Column("reason", overflow="fold"),
        Column("body", overflow="fold"),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for letter in letters:
        table.add_row(
            letter.stage,
            letter.id[:ID_CHARACTERS],
            _time(letter),
            f"{letter.receives:,}",
            Text(one_line(letter.reason or _NO_REASON, _REASON_CHARACTERS), style="" if letter.reason else "dim"),
            Text(one_line(letter.body, _BODY_CHARACTERS)),
        )
    return table


def to_page(letter: DeadLetter) -> Group:
    """One letter whole."""
    facts = {
        "id": letter.id,
        "stage": letter.stage,
        "sent": f"{_time(letter)} UTC",
        "received": f"{letter.receives:,} times before",
        "reason": letter.reason or _NO_REASON,
        **{name: value for name, value in letter.attributes.items() if name != "reason"},
    }
    width = max(map(len, facts))
    lines = [Text.assemble((f"{name:<{width}}", "bold"), f"  {printable(value)}") for name, value in facts.items()]
    return Group(*lines, Text(), Text(printable(_pretty(letter.body))))


def to_json(letters: Sequence[DeadLetter]) -> str:
    """The letters as a JSON array."""
    return json.dumps([_document(letter) for letter in letters], ensure_ascii=False)


def to_json_page(letter: DeadLetter) -> str:
    """One letter as a JSON object, as in the array."""
    return json.dumps(_document(letter), ensure_ascii=False)


def counted(counts: Mapping[str, int]) -> str:
    """How many messages, in all and of each stage that has some."""
    total = sum(counts.values())
    of_each = ", ".join(f"{stage} {count:,}" for stage, count in counts.items() if count)
    return f"{total:,} {'message' if total == 1 else 'messages'}{f' ({of_each})' if of_each else ''}"


def to_json_counts(counts: Mapping[str, int]) -> str:
    """How many messages, as a JSON object."""
    return json.dumps({"messages": sum(counts.values()), "stages": {name: n for name, n in counts.items() if n}})


def _document(letter: DeadLetter) -> dict[str, object]:
    return {**asdict(letter), "sent": letter.sent.isoformat()}


def _time(letter: DeadLetter) -> str:
    return f"{letter.sent:%Y-%m-%d %H:%M:%S}"


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
