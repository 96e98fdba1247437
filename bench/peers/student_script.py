"""The script that bootcamps' projects end with: `python -m bench.peers.student_script SOURCE WAREHOUSE ORDERS`.

Table by table: fetch all rows with psycopg2, put them into a pandas frame, write that to a CSV file, read the file row
by row, make each a warehouse row in Python, and INSERT them with `executemany`, which psycopg2 sends one by one.
Prints JSON: the seconds without start and imports, and the rows.
"""

import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2

CsvRow = dict[str, str]
Row = dict[str, object]


def moments(row: CsvRow) -> Row:
    """The two timestamps, each as a date and a time."""
    created = datetime.fromisoformat(row["created_at"])
    updated = datetime.fromisoformat(row["last_updated"])
    return {
        "created_date": created.date(),
        "created_time": created.time(),
        "last_updated_date": updated.date(),
        "last_updated_time": updated.time(),
    }


def sales_order(row: CsvRow) -> Row:
    """A row of fact_sales_order."""
    names = (
        "sales_order_id counterparty_id units_sold unit_price currency_id design_id agreed_payment_date "
        "agreed_delivery_date agreed_delivery_location_id"
    )
    return {**{name: row[name] for name in names.split()}, **moments(row), "sales_staff_id": row["staff_id"]}


def purchase_order(row: CsvRow) -> Row:
    """A row of fact_purchase_order."""
    names = (
        "purchase_order_id staff_id counterparty_id item_code item_quantity item_unit_price currency_id "
        "agreed_delivery_date agreed_payment_date agreed_delivery_location_id"
    )
    return {**{name: row[name] for name in names.split()}, **moments(row)}


def payment(row: CsvRow) -> Row:
    """A row of fact_payment."""
    names = "payment_id transaction_id counterparty_id payment_amount currency_id payment_type_id paid payment_date"
    return {**{name: row[name] for name in names.split()}, **moments(row)}


def transaction(row: CsvRow) -> Row:
    """A row of dim_transaction."""
    names = ("transaction_id", "transaction_type", "sales_order_id", "purchase_order_id")
    return {name: row[name] or None for name in names}


@dataclass(frozen=True)
class Step:
    """A source table, which of its rows belong to the first orders, and the warehouse table that they go to."""

    source: str
    which: str
    target: str
    transform: Callable[[CsvRow], Row]


STEPS = (
    Step(
        "sales_order",
        "sales_order_id IN (SELECT sales_order_id FROM transaction WHERE transaction_id <= %s)",
        "fact_sales_order",
        sales_order,
    ),
    Step(
        "purchase_order",
        "purchase_order_id IN (SELECT purchase_order_id FROM transaction WHERE transaction_id <= %s)",
        "fact_purchase_order",
        purchase_order,
    ),
    Step("transaction", "transaction_id <= %s", "dim_transaction", transaction),
    Step("payment", "transaction_id <= %s", "fact_payment", payment),
)


def main() -> None:
    """Move the rows of the first orders, and print what that took."""
    source_dsn, warehouse_dsn, orders = sys.argv[1:]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        source, warehouse = psycopg2.connect(source_dsn), psycopg2.connect(warehouse_dsn)
        rows = sum(move(source, warehouse, step, int(orders), Path(folder)) for step in STEPS)
        source.close()
        warehouse.close()
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


def move(source: Any, warehouse: Any, step: Step, orders: int, folder: Path) -> int:
    """Move the rows of one table, in one transaction; how many they are."""
    file = folder / f"{step.source}.csv"
    extract(source, step, orders, file)
    with file.open(newline="") as lines:
        rows = [step.transform(row) for row in csv.DictReader(lines)]
    load(warehouse, step.target, rows)
    return len(rows)


def extract(source: Any, step: Step, orders: int, file: Path) -> None:
    """Write the rows to a CSV file by way of a frame."""
    with source.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {step.source} WHERE {step.which}", [orders])
        columns = [column.name for column in cursor.description]
        frame = pd.DataFrame(cursor.fetchall(), columns=columns, dtype=object)
    frame.to_csv(file, index=False)


def load(warehouse: Any, target: str, rows: list[Row]) -> None:
    """INSERT the rows, one by one."""
    if not rows:
        return
    columns = list(rows[0])
    statement = f"INSERT INTO warehouse.{target} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
    with warehouse.cursor() as cursor:
        cursor.executemany(statement, [tuple(row.values()) for row in rows])
    warehouse.commit()


if __name__ == "__main__":
    main()
