"""totesys, the operational database: its 11 tables as Postgres reports them."""

from totesys.table import Capture, Column, SourceTable
from totesys.types import BOOLEAN, INTEGER, TEXT, TIMESTAMP, enum, numeric, varchar

MONEY = numeric(10, 2)
PAYMENT_TYPE_NAME = enum("PaymentTypeName", "SALES_RECEIPT", "SALES_REFUND", "PURCHASE_PAYMENT", "PURCHASE_REFUND")
TRANSACTION_TYPE = enum("TransactionType", "SALE", "PURCHASE")

CREATED_AT = Column("created_at", TIMESTAMP, default="current_timestamp")
LAST_UPDATED = Column("last_updated", TIMESTAMP)

ADDRESS = SourceTable(
    "address",
    key="address_id",
    columns=(
        Column("address_id", INTEGER),
        Column("address_line_1", TEXT),
        Column("address_line_2", TEXT, nullable=True),
        Column("district", TEXT, nullable=True),
        Column("city", TEXT),
        Column("postal_code", TEXT),
        Column("country", TEXT),
        Column("phone", TEXT),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

COUNTERPARTY = SourceTable(
    "counterparty",
    key="counterparty_id",
    columns=(
        Column("counterparty_id", INTEGER),
        Column("counterparty_legal_name", TEXT),
        Column("legal_address_id", INTEGER, references="address"),
        Column("commercial_contact", TEXT, nullable=True),
        Column("delivery_contact", TEXT, nullable=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

CURRENCY = SourceTable(
    "currency",
    key="currency_id",
    columns=(
        Column("currency_id", INTEGER),
        Column("currency_code", varchar(3)),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

DEPARTMENT = SourceTable(
    "department",
    key="department_id",
    columns=(
        Column("department_id", INTEGER),
        Column("department_name", TEXT),
        Column("location", TEXT, nullable=True),
        Column("manager", TEXT, nullable=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

DESIGN = SourceTable(
    "design",
    key="design_id",
    columns=(
        Column("design_id", INTEGER),
        CREATED_AT,
        Column("design_name", TEXT),
        Column("file_location", TEXT),
        Column("file_name", TEXT),
        LAST_UPDATED,
    ),
)

STAFF = SourceTable(
    "staff",
    key="staff_id",
    columns=(
        Column("staff_id", INTEGER),
        Column("first_name", TEXT),
        Column("last_name", TEXT),
        Column("department_id", INTEGER, references="department"),
        Column("email_address", TEXT),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

PAYMENT_TYPE = SourceTable(
    "payment_type",
    key="payment_type_id",
    columns=(
        Column("payment_type_id", INTEGER),
        Column("payment_type_name", PAYMENT_TYPE_NAME),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

SALES_ORDER = SourceTable(
    "sales_order",
    key="sales_order_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("sales_order_id", INTEGER),
        CREATED_AT,
        LAST_UPDATED,
        Column("design_id", INTEGER, references="design"),
        Column("staff_id", INTEGER, references="staff"),
        Column("counterparty_id", INTEGER, references="counterparty"),
        Column("units_sold", INTEGER),
        Column("unit_price", MONEY),
        Column("currency_id", INTEGER, references="currency"),
        Column("agreed_delivery_date", TEXT),
        Column("agreed_payment_date", TEXT),
        Column("agreed_delivery_location_id", INTEGER, references="address"),
    ),
)

PURCHASE_ORDER = SourceTable(
    "purchase_order",
    key="purchase_order_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("purchase_order_id", INTEGER),
        CREATED_AT,
        LAST_UPDATED,
        Column("staff_id", INTEGER, references="staff"),
        Column("counterparty_id", INTEGER, references="counterparty"),
        Column("item_code", TEXT),
        Column("item_quantity", INTEGER),
        Column("item_unit_price", MONEY),
        Column("currency_id", INTEGER, references="currency"),
        Column("agreed_delivery_date", TEXT),
        Column("agreed_payment_date", TEXT),
        Column("agreed_delivery_location_id", INTEGER, references="address"),
    ),
)

TRANSACTION = SourceTable(
    "transaction",
    key="transaction_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("transaction_id", INTEGER),
        Column("transaction_type", TRANSACTION_TYPE),
        Column(
            "sales_order_id",
            INTEGER,
            nullable=True,
            unique=True,
            references="sales_order",
            on_delete="SET NULL",
        ),
        Column(
            "purchase_order_id",
            INTEGER,
            nullable=True,
            unique=True,
            references="purchase_order",
            on_delete="SET NULL",
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

PAYMENT = SourceTable(
    "payment",
    key="payment_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("payment_id", INTEGER),
        CREATED_AT,
        LAST_UPDATED,
        Column("transaction_id", INTEGER, unique=True, references="transaction"),
        Column("counterparty_id", INTEGER, references="counterparty"),
        Column("payment_amount", MONEY),
        Column("currency_id", INTEGER, references="currency"),
        Column("payment_type_id", INTEGER, references="payment_type"),
        Column("paid", BOOLEAN),
        Column("payment_date", TEXT),
        Column("company_ac_number", INTEGER),
        Column("counterparty_ac_number", INTEGER),
    ),
)

SOURCES = (
    ADDRESS,
    COUNTERPARTY,
    CURRENCY,
    DEPARTMENT,
    DESIGN,
    STAFF,
    PAYMENT_TYPE,
    SALES_ORDER,
    PURCHASE_ORDER,
    TRANSACTION,
    PAYMENT,
)
