"""SQL of keys, of one column or several: lists, comparisons, and the text that names a key everywhere.

The text of a key is that of its column; of several columns, their texts with commas between them. ESCAPE precedes a
comma or an ESCAPE within a text.
"""

import re
from collections.abc import Sequence

from totesys.sql import column_list, ident, literal
from totesys.table import Table

# Not a backslash, which some engines read differently in literals.
ESCAPE = "~"


def key_list(table: Table, relation: str = "") -> str:
    """The key's columns, separated by commas."""
    return column_list(table.key_names, relation)


def same_key(table: Table, left: str, right: str, names: Sequence[str] = ()) -> str:
    """SQL that is true where the key of `left` equals that of `right`, or else its columns `names`."""
    pairs = zip(table.key_names, names or table.key_names, strict=True)
    return " AND ".join(f"{left}.{ident(one)} = {right}.{ident(other)}" for one, other in pairs)


def same_value(table: Table, left: str, right: str, names: Sequence[str]) -> str:
    """The same where the types of the two sides may differ, as those of a source and a reference query do."""
    if table.has_integer_key:
        return same_key(table, left, right, names)
    pairs = zip(table.key_names, names, strict=True)
    return " AND ".join(f"{left}.{ident(one)}::text = {right}.{ident(other)}::text" for one, other in pairs)


def key_text(table: Table, relation: str = "") -> str:
    """The text of a key."""
    texts = [f"{column_list([name], relation)}::text" for name in table.key_names]
    if len(texts) == 1:
        return texts[0]
    escaped = (f"replace(replace({text}, '{ESCAPE}', '{ESCAPE}{ESCAPE}'), ',', '{ESCAPE},')" for text in texts)
    joined = " || ',' || ".join(escaped)
    return f"({joined})"


def key_among(table: Table, relation: str = "", parameter: int = 1) -> str:
    """SQL that is true if the key is among those of the parameter, as `keys_parameter` makes it."""
    if table.has_integer_key:
        return f"{key_list(table, relation)} = ANY (${parameter}::bigint[])"
    return f"{key_text(table, relation)} = ANY (${parameter}::text[])"


def is_bigint(text: str) -> bool:
    """Whether the text is an integer of 64 bits."""
    return re.fullmatch("-?[0-9]{1,19}", text) is not None and -(2**63) <= int(text) < 2**63


def keys_parameter(table: Table, keys: Sequence[str]) -> list[int] | list[str]:
    """Keys, given as text, as the parameter of `key_among`."""
    return [int(key) for key in keys] if table.has_integer_key else list(keys)


def key_number(table: Table, relation: str = "") -> str:
    """A 64-bit number of the key: the integer that it is, or else a hash of its text."""
    if table.has_integer_key:
        return f"{key_list(table, relation)}::bigint"
    return f"hashtextextended({key_text(table, relation)}, 0)"


def is_deletion_of(table: Table, deletion: str, relation: str) -> str:
    """SQL that is true of a row of `etl.deletion` with the key of a row of the table."""
    if table.has_integer_key:
        return f"{deletion}.id = {key_list(table, relation)}"
    return f"{deletion}.key = {key_text(table, relation)}"


def is_waiting_version_of(table: Table, waiting: str, relation: str) -> str:
    """SQL that is true of a row of `etl.orphan` with the key of a row of the table."""
    same = f"{waiting}.id = {key_number(table, relation)}"
    if table.has_integer_key:
        return same
    # The number finds the rows; the columns decide.
    texts = (f"{waiting}.row->>{literal(name)} = {relation}.{ident(name)}::text" for name in table.key_names)
    return " AND ".join([same, *texts])
