"""The encodings of databases, and SQL about the bytes of their text. Pure."""

UTF8 = "UTF8"
# A database with this encoding stores any bytes, which may be UTF-8 or not.
NOT_CHECKED = "SQL_ASCII"

_LATER = r"[\x80-\xbf]"
# The well-formed byte sequences of the Unicode Standard (table 3-7). In SQL_ASCII, each byte is a character.
_UTF8 = (
    rf"^([\x01-\x7f]|[\xc2-\xdf]{_LATER}|\xe0[\xa0-\xbf]{_LATER}|[\xe1-\xec\xee\xef]{_LATER}{{2}}"
    rf"|\xed[\x80-\x9f]{_LATER}|\xf0[\x90-\xbf]{_LATER}{{2}}|[\xf1-\xf3]{_LATER}{{3}}|\xf4[\x80-\x8f]{_LATER}{{2}})*$"
)


def valid_utf8(value: str) -> str:
    """SQL that is true of text in UTF-8, in a database with the encoding NOT_CHECKED. Most text is only ASCII."""
    return f"({value}::text !~ '[\\x80-\\xff]' OR {value}::text ~ '{_UTF8}')"


def as_utf8(text: str, encoding: str) -> str:
    """SQL of a text's bytes in UTF-8, in a database with the encoding; the text itself if these are its bytes."""
    return text if encoding in (UTF8, NOT_CHECKED) else f"convert_to({text}, '{UTF8}')"
