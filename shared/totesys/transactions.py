"""What tells one source from another, and which of its rows are of a transaction that a snapshot has not seen."""

# The oid tells databases of one server apart; the timeline changes when a standby or a backup takes over.
SOURCE_ID = """
    (SELECT system_identifier FROM pg_control_system())
    || '/' || (SELECT timeline_id FROM pg_control_checkpoint())
    || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())"""

# Postgres tells the age of a row's 32-bit transaction id only within half of that circle.
HALF_CIRCLE = 2**31


def xid(xmin: int) -> str:
    """A 64-bit transaction id as the 32-bit `xid` that rows carry."""
    return str(xmin % 2**32)


def since(xmin: int, relation: str = "") -> str:
    """SQL that is true of a row (of `relation`) that a snapshot with this xmin may not have seen."""
    return f"age({relation}{'.' if relation else ''}xmin) <= age('{xid(xmin)}'::xid)"
