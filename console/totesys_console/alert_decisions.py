"""What to tell people about: one message when a problem begins, one when it ends. Pure."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from totesys_console.attention import Item, attention
from totesys_console.facts import Facts
from totesys_console.stage_status import stage_statuses

# The service that reports the problems of the whole pipeline. The others report only their own.
REPORTER = "load"
_VARYING = re.compile(r" (at|since|yet|on run|[0-9,]+ times)( .*)?$")
_COUNTED = re.compile(r"^[0-9][0-9,]* ([a-z ]+?)s? of ")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True)
class Changes:
    """The problems that began, with their items, and those that ended, with the text of their first message."""

    begun: Mapping[str, Item]
    ended: Mapping[str, str]


def problem_of(what: str) -> str:
    """The problem that an item is about: its text without counts, times and run numbers, which change."""
    return _COUNTED.sub(r"\1 of ", _VARYING.sub("", what))


def problems(facts: Facts) -> dict[str, Item]:
    """The items to report from here, by problem."""
    if facts.service != REPORTER:
        # Every service waits for the same lake and queues. The reporter tells of those.
        database = {name: fault for name, fault in facts.own.waits_for.items() if name == facts.own.database}
        facts = Facts(facts.service, facts.now, own=replace(facts.own, waits_for=database, failure=""))
        items: Iterable[Item] = (item for item in attention(facts, stage_statuses(facts)) if item.stops)
    else:
        items = attention(facts, stage_statuses(facts))
    return {problem_of(item.what): item for item in items}


def changes(told: Mapping[str, str], now: Mapping[str, Item], before: Set[str]) -> Changes:
    """What to tell. A problem counts if two looks in a row find it, and has ended if two find it gone."""
    return Changes(
        {problem: item for problem, item in now.items() if problem in before and problem not in told},
        {problem: text for problem, text in told.items() if problem not in now and problem not in before},
    )


def begun_text(service: str, item: Item) -> str:
    """The message about a problem that began, in Slack's markup."""
    reasons = "\n".join(map(_escaped, item.why))
    return "\n".join(filter(None, (f":red_circle: *{_escaped(item.what)}*", reasons, _escaped(item.next)))) + (
        f"\nReported by {service}."
    )


def ended_text(text: str) -> str:
    """The message about a problem that ended."""
    return f":large_green_circle: Resolved: {_escaped(text)}"


def _escaped(text: str) -> str:
    return "".join(_MARKUP.get(letter, letter) for letter in text)
