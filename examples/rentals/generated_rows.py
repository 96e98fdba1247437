"""The generated past of the rental shops: the rows of each table, seeded."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from .source_tables import RATING

OPENING = datetime(2024, 3, 1, 9)  # noqa: DTZ001 - timestamps of the source have no time zone
DAYS = 600
# Without a return, a rental is still open.
STILL_OPEN = 0.05
LANGUAGES = ("English", "Français", "Polski", "日本語")
CATEGORIES = ("Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family", "Romance")
FIRST_WORDS = ("Crimson", "Distant", "Electric", "Forgotten", "Golden", "Hollow", "Quiet", "Winter")
SECOND_WORDS = ("Harbour", "Lantern", "Meadow", "Orchard", "Passenger", "River", "Signal", "Voyage")
FIRST_NAMES = ("Ana", "Björn", "Chloé", "Dev", "Ewa", "Farid", "Grace", "Hiro", "Inès", "Jonas")
LAST_NAMES = ("Abara", "Bianchi", "Costa", "Dubois", "Eklund", "Fischer", "García", "Hughes", "Ivanova", "Jansen")
STREETS = ("Church Lane", "Rue du Port", "Lindenweg", "Via Roma", "Calle Mayor")
CITIES = (("Bergen", "Norway"), ("Ghent", "Belgium"), ("Lyon", "France"), ("Porto", "Portugal"), ("York", "England"))
Row = tuple[object, ...]


def rows_of(table: str, random: Random, counts: Mapping[str, int]) -> Iterator[Row]:
    """The rows of a table, in the order of its declaration, numbered from 1."""
    for number in range(1, counts[table] + 1):
        yield _MAKERS[table](number, random, counts)


def daily_rate(random: Random) -> Decimal:
    """A price of a day, 0.99 to 4.99."""
    return Decimal(random.randint(0, 4)) + Decimal("0.99")


def amount(random: Random) -> Decimal:
    """A payment of some days."""
    return daily_rate(random) * random.randint(1, 7)


def _language(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    return number, LANGUAGES[number - 1]


def _category(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    return number, CATEGORIES[number - 1]


def _film(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    title = f"{random.choice(FIRST_WORDS)} {random.choice(SECOND_WORDS)}"
    minutes = random.choice((None, random.randint(60, 190)))
    rating = random.choice(RATING.values)
    return number, title, random.randint(1, counts["language"]), rating, minutes, daily_rate(random)


def _film_category(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    return number, random.randint(1, counts["category"])


def _address(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    city, country = random.choice(CITIES)
    district = random.choice((None, "Old Town", "Harbour"))
    return number, f"{random.choice(STREETS)} {random.randint(1, 99)}", district, city, country


def _store(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    return number, f"Store {number}", random.randint(1, counts["address"])


def _customer(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    email = random.choice((None, f"{first}.{last}.{number}@mail.example".lower()))
    joined = date(2024, 1, 1) + timedelta(days=random.randint(0, 59))
    return number, first, last, email, random.randint(1, counts["address"]), random.random() < 0.95, joined


def _inventory(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    return number, random.randint(1, counts["film"]), random.randint(1, counts["store"])


def _rented_at(number: int, counts: Mapping[str, int]) -> datetime:
    """Rentals are numbered in order of time."""
    return OPENING + timedelta(days=DAYS) * number / counts["rental"]


def _milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _customer_of(number: int, counts: Mapping[str, int]) -> int:
    return number * 7 % counts["customer"] + 1


def _rental(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    rented = _milliseconds(_rented_at(number, counts))
    returned = None if random.random() < STILL_OPEN else rented + timedelta(minutes=random.randint(60, 14_400))
    return number, random.randint(1, counts["inventory"]), _customer_of(number, counts), rented, returned


def _payment(number: int, random: Random, counts: Mapping[str, int]) -> Row:
    """One for each rental."""
    paid = _milliseconds(_rented_at(number, counts))
    return number, number, _customer_of(number, counts), amount(random), random.random() < 0.02, paid


_MAKERS: Mapping[str, Callable[[int, Random, Mapping[str, int]], Row]] = {
    "language": _language,
    "category": _category,
    "film": _film,
    "film_category": _film_category,
    "address": _address,
    "store": _store,
    "customer": _customer,
    "inventory": _inventory,
    "rental": _rental,
    "payment": _payment,
}
