"""The rows of the reference tables, pure and seeded. A row is a tuple in the order of the declaration."""

import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from totesys.model.source_tables import PAYMENT_TYPE_NAME
from totesys_simulation import words
from totesys_simulation.calendar import OPENING, working_time

Row = tuple[Any, ...]


def addresses(random: Random, count: int) -> Iterator[Row]:
    for key in range(1, count + 1):
        city = words.CITIES[(key - 1) % len(words.CITIES)]
        second_line = words.SECOND_LINES[(key - 1) % len(words.SECOND_LINES)]
        rest = (second_line, city.district, city.name, city.postal_code, city.country)
        yield key, street_address(random), *rest, phone(random), *timestamps(random)


def counterparties(random: Random, count: int, address_count: int) -> Iterator[Row]:
    for key in range(1, count + 1):
        pattern = words.COMPANY_NAMES[(key - 1) % len(words.COMPANY_NAMES)]
        name = pattern.format(random.choice(words.LAST_NAMES), random.choice(words.LAST_NAMES))
        address = random.randint(1, address_count)
        yield key, name, address, person(random), contact(random), *timestamps(random)


def currencies(random: Random) -> Iterator[Row]:
    for key, code in enumerate(words.CURRENCY_CODES, 1):
        yield key, code, OPENING, OPENING


def departments(random: Random) -> Iterator[Row]:
    for key, department in enumerate(words.DEPARTMENTS, 1):
        yield key, *department, *timestamps(random)


def designs(random: Random, count: int) -> Iterator[Row]:
    for key in range(1, count + 1):
        created_at, last_updated = timestamps(random)
        yield key, created_at, *design(random, created_at), last_updated


def payment_types(random: Random) -> Iterator[Row]:
    for key, name in enumerate(PAYMENT_TYPE_NAME.values, 1):
        yield key, name, OPENING, OPENING


def staff(random: Random, count: int) -> Iterator[Row]:
    for key in range(1, count + 1):
        first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
        department = random.randint(1, len(words.DEPARTMENTS))
        yield key, first, last, department, email_address(first, last, key), *timestamps(random)


def design(random: Random, day: datetime) -> tuple[str, str, str]:
    """A design's name, file location and file name."""
    material = random.choice(words.MATERIALS)
    suffix = "".join(random.choices("abcdefghjkmnpqrstuvwxyz0123456789", k=4))
    return material, random.choice(words.FOLDERS), f"{material.lower()}-{day:%Y%m%d}-{suffix}.json"


def street_address(random: Random) -> str:
    return f"{random.randint(1, 240)} {random.choice(words.STREETS)}"


def phone(random: Random) -> str:
    return f"{random.randint(0, 9999):04d} {random.randint(0, 999_999):06d}"


def person(random: Random) -> str:
    return f"{random.choice(words.FIRST_NAMES)} {random.choice(words.LAST_NAMES)}"


def contact(random: Random) -> str | None:
    """A person, or None: not every counterparty names one."""
    return person(random) if random.random() < 0.8 else None


def email_address(first: str, last: str, number: int) -> str:
    """An address in ASCII letters, unique by its number."""
    decomposed = unicodedata.normalize("NFKD", f"{first}.{last}").lower()
    local = "".join(letter for letter in decomposed if letter.isascii() and (letter.isalpha() or letter == "."))
    return f"{local}.{number}@totes.example"


def timestamps(random: Random) -> tuple[datetime, datetime]:
    """The time of creation, in the month before the first order, and of the last change, which may be the same."""
    created_at = OPENING - timedelta(milliseconds=random.randint(1, 30 * 86_400_000))
    return created_at, working_time(random.random()) if random.random() < 0.1 else created_at
