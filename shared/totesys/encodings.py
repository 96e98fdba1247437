"""The encodings of databases, and what that means for the bytes of their texts. Pure."""

UTF8 = "UTF8"
# A database of this encoding keeps whatever bytes it is given. They may be UTF-8 or not.
NOT_CHECKED = "SQL_ASCII"

_LATER = r"[\x80-\xbf]"
# The well-formed sequences of the Unicode Standard (table 3-7), byte by byte: where nothing is checked, each byte is a
# character.
_UTF8 = (
    rf"^([\x01-\x7f]|[\xc2-\xdf]{_LATER}|\xe0[\xa0-\xbf]{_LATER}|[\xe1-\xec\xee\xef]{_LATER}{{2}}"
    rf"|\xed[\x80-\x9f]{_LATER}|\xf0[\x90-\xbf]{_LATER}{{2}}|[\xf1-\xf3]{_LATER}{{3}}|\xf4[\x80-\x8f]{_LATER}{{2}})*$"
)


def valid_utf8(value: str) -> str:
    """SQL that is true of a text of UTF-8, in a database of the encoding NOT_CHECKED; most have only ASCII."""
    return f"({value}::text !~ '[\\x80-\\xff]' OR {value}::text ~ '{_UTF8}')"


def as_utf8(text: str, encoding: str) -> str:
    """SQL of the text's bytes in UTF-8, in a database of the encoding; of a text that has them already, itself."""
    return text if encoding in (UTF8, NOT_CHECKED) else f"convert_to({text}, '{UTF8}')"
