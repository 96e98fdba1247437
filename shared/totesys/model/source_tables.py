"""The 11 tables of totesys, the operational database, with the types that Postgres reports."""

from totesys.table import Capture, Column, SourceTable
from totesys.types import BOOLEAN, INTEGER, TEXT, TIMESTAMP, ColumnType, enum, numeric, varchar

MONEY = numeric(10, 2)
PAYMENT_TYPE_NAME = enum("PaymentTypeName", "SALES_RECEIPT", "SALES_REFUND", "PURCHASE_PAYMENT", "PURCHASE_REFUND")
TRANSACTION_TYPE = enum("TransactionType", "SALE", "PURCHASE")

CREATED_AT = Column("created_at", TIMESTAMP, default="current_timestamp")
LAST_UPDATED = Column("last_updated", TIMESTAMP)
TIMESTAMPS = (CREATED_AT, LAST_UPDATED)


def _columns(kind: ColumnType, *names: str, nullable: bool = False) -> tuple[Column, ...]:
    """Columns of one type."""
    return tuple(Column(name, kind, nullable) for name in names)


def _key(table: str, column: str = "") -> Column:
    """A column that refers to a table; by default it has the name of that table's key."""
    return Column(column or f"{table}_id", INTEGER, references=table)


def _order_key(table: str) -> Column:
    """The order of a transaction: an order has one transaction, and may be deleted before it."""
    return Column(f"{table}_id", INTEGER, nullable=True, unique=True, references=table, on_delete="SET NULL")


ADDRESS = SourceTable(
    "address",
    key="address_id",
    columns=(
        Column("address_id", INTEGER),
        Column("address_line_1", TEXT),
        *_columns(TEXT, "address_line_2", "district", nullable=True),
        *_columns(TEXT, "city", "postal_code", "country", "phone"),
        *TIMESTAMPS,
    ),
)

COUNTERPARTY = SourceTable(
    "counterparty",
    key="counterparty_id",
    columns=(
        Column("counterparty_id", INTEGER),
        Column("counterparty_legal_name", TEXT),
        _key("address", "legal_address_id"),
        *_columns(TEXT, "commercial_contact", "delivery_contact", nullable=True),
        *TIMESTAMPS,
    ),
)

CURRENCY = SourceTable(
    "currency",
    key="currency_id",
    columns=(Column("currency_id", INTEGER), Column("currency_code", varchar(3)), *TIMESTAMPS),
)

DEPARTMENT = SourceTable(
    "department",
    key="department_id",
    columns=(
        Column("department_id", INTEGER),
        Column("department_name", TEXT),
        *_columns(TEXT, "location", "manager", nullable=True),
        *TIMESTAMPS,
    ),
)

DESIGN = SourceTable(
    "design",
    key="design_id",
    columns=(
        Column("design_id", INTEGER),
        CREATED_AT,
        *_columns(TEXT, "design_name", "file_location", "file_name"),
        LAST_UPDATED,
    ),
)

STAFF = SourceTable(
    "staff",
    key="staff_id",
    columns=(
        Column("staff_id", INTEGER),
        *_columns(TEXT, "first_name", "last_name"),
        _key("department"),
        Column("email_address", TEXT),
        *TIMESTAMPS,
    ),
)

PAYMENT_TYPE = SourceTable(
    "payment_type",
    key="payment_type_id",
    columns=(Column("payment_type_id", INTEGER), Column("payment_type_name", PAYMENT_TYPE_NAME), *TIMESTAMPS),
)

SALES_ORDER = SourceTable(
    "sales_order",
    key="sales_order_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("sales_order_id", INTEGER),
        *TIMESTAMPS,
        *map(_key, ("design", "staff", "counterparty")),
        Column("units_sold", INTEGER),
        Column("unit_price", MONEY),
        _key("currency"),
        *_columns(TEXT, "agreed_delivery_date", "agreed_payment_date"),
        _key("address", "agreed_delivery_location_id"),
    ),
)

PURCHASE_ORDER = SourceTable(
    "purchase_order",
    key="purchase_order_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("purchase_order_id", INTEGER),
        *TIMESTAMPS,
        *map(_key, ("staff", "counterparty")),
        Column("item_code", TEXT),
        Column("item_quantity", INTEGER),
        Column("item_unit_price", MONEY),
        _key("currency"),
        *_columns(TEXT, "agreed_delivery_date", "agreed_payment_date"),
        _key("address", "agreed_delivery_location_id"),
    ),
)

TRANSACTION = SourceTable(
    "transaction",
    key="transaction_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("transaction_id", INTEGER),
        Column("transaction_type", TRANSACTION_TYPE),
        *map(_order_key, ("sales_order", "purchase_order")),
        *TIMESTAMPS,
    ),
)

PAYMENT = SourceTable(
    "payment",
    key="payment_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("payment_id", INTEGER),
        *TIMESTAMPS,
        Column("transaction_id", INTEGER, unique=True, references="transaction"),
        _key("counterparty"),
        Column("payment_amount", MONEY),
        *map(_key, ("currency", "payment_type")),
        Column("paid", BOOLEAN),
        Column("payment_date", TEXT),
        *_columns(INTEGER, "company_ac_number", "counterparty_ac_number"),
    ),
)

SOURCES = (
    *(ADDRESS, COUNTERPARTY, CURRENCY, DEPARTMENT, DESIGN, STAFF, PAYMENT_TYPE),
    *(SALES_ORDER, PURCHASE_ORDER, TRANSACTION, PAYMENT),
)
