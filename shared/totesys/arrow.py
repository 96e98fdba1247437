"""The Arrow types of declared columns. Imported only by services that read or write columnar data."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from totesys.sql_keys import ESCAPE
from totesys.table import Table
from totesys.types import ColumnType, Kind

_SIMPLE = {
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.BYTES: pa.binary(),
}


def arrow_type(declared: ColumnType) -> pa.DataType:
    """The Arrow type of a declared column."""
    match declared.kind:
        case Kind.DECIMAL:
            return pa.decimal128(*declared.digits)
        case Kind.TIME:
            return pa.time32("ms") if declared.unit == "ms" else pa.time64("us")
        case Kind.TIMESTAMP:
            return pa.timestamp(declared.unit)
        case Kind.INSTANT:
            return pa.timestamp(declared.unit, "UTC")
    return _SIMPLE[declared.kind]


def arrow_schema(table: Table) -> pa.Schema:
    """The declared columns as an Arrow schema, with their nullability."""
    return pa.schema([pa.field(c.name, arrow_type(c.type), c.nullable) for c in table.columns])


def key_texts(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array | pa.ChunkedArray:
    """The texts of keys, in the form of `totesys.sql_keys`."""
    texts = [column.cast(pa.string()) for column in columns]
    if len(texts) == 1:
        return texts[0]
    escaped = [pc.replace_substring_regex(text, f"([{ESCAPE},])", f"{ESCAPE}\\1") for text in texts]
    return pc.binary_join_element_wise(*escaped, ",")
