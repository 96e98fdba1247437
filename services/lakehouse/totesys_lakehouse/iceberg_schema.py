"""The Iceberg and Arrow forms of the lakehouse's columns, and how a table's schema follows the model."""

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
)

from totesys.types import ColumnType, Kind
from totesys_lakehouse.lakehouse_tables import LakehouseTable

_ICEBERG: dict[Kind, IcebergType] = {
    Kind.INT32: IntegerType(),
    Kind.INT64: LongType(),
    Kind.BOOLEAN: BooleanType(),
    Kind.TEXT: StringType(),
    Kind.DATE: DateType(),
    Kind.TIMESTAMP: TimestampType(),
    Kind.INSTANT: TimestamptzType(),
    Kind.FLOAT32: FloatType(),
    Kind.FLOAT64: DoubleType(),
    Kind.BYTES: BinaryType(),
}
_ARROW = {
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.INSTANT: pa.timestamp("us", "UTC"),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.BYTES: pa.binary(),
}


def iceberg_type(declared: ColumnType) -> IcebergType:
    """The Iceberg type of a column."""
    return DecimalType(*declared.digits) if declared.kind is Kind.DECIMAL else _ICEBERG[declared.kind]


def arrow_type(declared: ColumnType) -> pa.DataType:
    """The Arrow type of a column."""
    return pa.decimal128(*declared.digits) if declared.kind is Kind.DECIMAL else _ARROW[declared.kind]


def arrow_schema(table: LakehouseTable) -> pa.Schema:
    """The columns as an Arrow schema."""
    return pa.schema([pa.field(c.name, arrow_type(c.type), not c.required) for c in table.columns])


def iceberg_schema(table: LakehouseTable) -> Schema:
    """The columns as a new Iceberg table has them."""
    return Schema(
        *(
            NestedField(number, c.name, iceberg_type(c.type), required=c.required, doc=c.description or None)
            for number, c in enumerate(table.columns, start=1)
        )
    )


def missing_columns(table: LakehouseTable, existing: Table) -> tuple[str, ...]:
    """The columns that the model has gained since the Iceberg table was created."""
    there = set(existing.schema().column_names)
    return tuple(name for name in table.column_names if name not in there)


def widened_columns(table: LakehouseTable, existing: Table) -> dict[str, IcebergType]:
    """The columns whose declared type is wider than the table's: more digits, or a longer integer."""
    found = {}
    for column in table.columns:
        new = iceberg_type(column.type)
        if column.name in existing.schema().column_names and _is_wider(_type_of(existing, column.name), new):
            found[column.name] = new
    return found


def incompatible_columns(table: LakehouseTable, existing: Table) -> list[str]:
    """What Iceberg cannot change: a sentence part for each column of another type."""
    there = set(existing.schema().column_names)
    return [
        f"{column.name} is {found} and must be {wanted}"
        for column in table.columns
        if column.name in there
        and (wanted := iceberg_type(column.type)) != (found := _type_of(existing, column.name))
        and not _is_wider(found, wanted)
    ]


def undeclared_required_columns(table: LakehouseTable, existing: Table) -> tuple[str, ...]:
    """Required columns that the model no longer declares: they must become optional before a row can be appended."""
    known = set(table.column_names)
    return tuple(field.name for field in existing.schema().fields if field.required and field.name not in known)


def _type_of(existing: Table, name: str) -> IcebergType:
    return existing.schema().find_field(name).field_type


def _is_wider(old: IcebergType, new: IcebergType) -> bool:
    if isinstance(old, IntegerType) and isinstance(new, LongType):
        return True
    if isinstance(old, DecimalType) and isinstance(new, DecimalType):
        return old.scale == new.scale and old.precision < new.precision
    return False
