"""Faults of the source on which operators practise, with the statements that make them. docs/runbook.md fixes them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceFault:
    """What is wrong with the source, and the SQL that makes it so."""

    what: str
    make: str


DRIFT = SourceFault(
    "Column staff.email_address was renamed to email.",
    "ALTER TABLE staff RENAME email_address TO email",
)
QUARANTINE = SourceFault(
    "Sales order 1 has the payment date 'soon'.",
    "UPDATE sales_order SET agreed_payment_date = 'soon', last_updated = now() WHERE sales_order_id = 1",
)
