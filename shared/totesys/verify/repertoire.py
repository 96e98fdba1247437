"""Which characters a database can hold, so that it can be asked with texts of others."""

import re

import asyncpg

from totesys.connection import Connection, encoding_of
from totesys.encodings import NOT_CHECKED, UTF8

# A character that the database has not, as it travels there and back.
_WRITTEN = re.compile("\x01([0-9a-f]+)\x02")
_CONVERT = "SELECT convert($1::bytea, 'UTF8', getdatabaseencoding())"


class Repertoire:
    """The characters of a connection's database. It has all where its encoding is UTF-8, or none is checked.

    A character that it has not is in none of its rows, so nothing there equals a text with it. A model's SQL may hold
    such texts all the same, such as the names of currencies: they go there written in ASCII and come back as they were.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._complete = encoding_of(connection) in (UTF8, NOT_CHECKED)
        self._has: dict[str, bool] = {}

    async def prepare(self) -> None:
        """Have the connection give texts back as they were."""
        if not self._complete:
            await self._connection.set_type_codec(
                "text", schema="pg_catalog", encoder=str, decoder=_read_back, format="text"
            )

    async def within(self, text: str) -> str:
        """The text, with ASCII for each character that the database has not."""
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
