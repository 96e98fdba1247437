"""The script that bootcamp projects end with: `python -m bench.peers.student_script SOURCE WAREHOUSE ORDERS`.

Table by table: fetch all rows with psycopg2, put them into a pandas frame, write that to a CSV file, read the file row
by row, build each warehouse row in Python, and INSERT them with `executemany`, which psycopg2 sends one by one.
Prints JSON: the seconds without start and imports, and the rows.
"""

import csv
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2


@dataclass(frozen=True)
class TableMove:
    """A source table, which of its rows belong to the first orders, its warehouse table, and the columns to copy."""

    source: str
    which: str
    target: str
    columns: str
    is_fact: bool = True


_OF_FIRST_ORDERS = "{0}_id IN (SELECT {0}_id FROM transaction WHERE transaction_id <= %s)"
MOVES = (
    TableMove(
        "sales_order",
        _OF_FIRST_ORDERS.format("sales_order"),
        "fact_sales_order",
        "sales_order_id counterparty_id units_sold unit_price currency_id design_id agreed_payment_date "
        "agreed_delivery_date agreed_delivery_location_id sales_staff_id",
    ),
    TableMove(
        "purchase_order",
        _OF_FIRST_ORDERS.format("purchase_order"),
        "fact_purchase_order",
        "purchase_order_id staff_id counterparty_id item_code item_quantity item_unit_price currency_id "
        "agreed_delivery_date agreed_payment_date agreed_delivery_location_id",
    ),
    TableMove(
        "transaction",
        "transaction_id <= %s",
        "dim_transaction",
        "transaction_id transaction_type sales_order_id purchase_order_id",
        is_fact=False,
    ),
    TableMove(
        "payment",
        "transaction_id <= %s",
        "fact_payment",
        "payment_id transaction_id counterparty_id payment_amount currency_id payment_type_id paid payment_date",
    ),
)


def main() -> None:
    """Move the rows of the first orders, and print what that took."""
    source_dsn, warehouse_dsn, orders = sys.argv[1:]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        source, warehouse = psycopg2.connect(source_dsn), psycopg2.connect(warehouse_dsn)
        rows = sum(move(source, warehouse, table, int(orders), Path(folder)) for table in MOVES)
        source.close()
        warehouse.close()
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


def move(source: Any, warehouse: Any, table: TableMove, orders: int, folder: Path) -> int:
    """Move the rows of one table, in one transaction; their number."""
    file = folder / f"{table.source}.csv"
    with source.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table.source} WHERE {table.which}", [orders])
        columns = [column.name for column in cursor.description]
        pd.DataFrame(cursor.fetchall(), columns=columns, dtype=object).to_csv(file, index=False)
    with file.open(newline="") as lines:
        rows = [transform(row, table) for row in csv.DictReader(lines)]
    if rows:
        columns, values = list(rows[0]), ", ".join(["%s"] * len(rows[0]))
        statement = f"INSERT INTO warehouse.{table.target} ({', '.join(columns)}) VALUES ({values})"
        with warehouse.cursor() as cursor:
            cursor.executemany(statement, [tuple(row.values()) for row in rows])
        warehouse.commit()
    return len(rows)


def transform(row: dict[str, str], table: TableMove) -> dict[str, object]:
    """A warehouse row from a row of CSV."""
    names = {name: "staff_id" if name == "sales_staff_id" else name for name in table.columns.split()}
    built: dict[str, object] = {name: row[given] or None for name, given in names.items()}
    if table.is_fact:
        for name, given in (("created", "created_at"), ("last_updated", "last_updated")):
            moment = datetime.fromisoformat(row[given])
            built |= {f"{name}_date": moment.date(), f"{name}_time": moment.time()}
    return built


if __name__ == "__main__":
    main()
