"""Faults of the source on which operators practise, with the statements that make and mend them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceFault:
    """What is wrong with the source, and the SQL that makes and mends it."""

    what: str
    make: str
    mend: str


DRIFT = SourceFault(
    "Column staff.email_address was renamed to email.",
    "ALTER TABLE staff RENAME email_address TO email",
    "ALTER TABLE staff RENAME email TO email_address",
)
QUARANTINE = SourceFault(
    "Sales order 1 has the payment date 'soon'.",
    "UPDATE sales_order SET agreed_payment_date = 'soon', last_updated = now() WHERE sales_order_id = 1",
    "UPDATE sales_order SET agreed_payment_date = '2026-12-31', last_updated = now() WHERE sales_order_id = 1",
)
