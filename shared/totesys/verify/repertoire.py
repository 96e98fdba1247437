"""The characters that a database can store, so that queries may contain others."""

import re

import asyncpg

from totesys.connection import Connection, encoding_of
from totesys.encodings import NOT_CHECKED, UTF8

# The encoded form of a character that the database doesn't have.
_WRITTEN = re.compile("\x01([0-9a-f]+)\x02")
_CONVERT = "SELECT convert($1::bytea, 'UTF8', getdatabaseencoding())"


class Repertoire:
    """The characters of a connection's database: all if its encoding is UTF-8 or unchecked.

    A character that the database doesn't have is in none of its rows. A model's SQL may still contain such characters,
    as in the names of currencies: they are sent encoded in ASCII, and decoded in the results.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._complete = encoding_of(connection) in (UTF8, NOT_CHECKED)
        self._has: dict[str, bool] = {}

    async def prepare(self) -> None:
        """Have the connection decode text."""
        if not self._complete:
            await self._connection.set_type_codec(
                "text", schema="pg_catalog", encoder=str, decoder=_read_back, format="text"
            )

    async def within(self, text: str) -> str:
        """The text, with every character that the database doesn't have encoded in ASCII."""
        if self._complete or text.isascii():
            return text
        return "".join([one if await self._holds(one) else f"\x01{ord(one):x}\x02" for one in text])

    async def _holds(self, character: str) -> bool:
        if character.isascii():
            return True
        if character not in self._has:
            try:
                async with self._connection.transaction():
                    await self._connection.fetchval(_CONVERT, character.encode())
            except asyncpg.DataError:
                self._has[character] = False
            else:
                self._has[character] = True
        return self._has[character]


def _read_back(text: str) -> str:
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)), text)
