"""Tables of counts fit a terminal of 80 columns, for warehouses of tens of millions of rows."""

from collections.abc import Sequence

import pytest
from rich.console import Console

from totesys.model import MODEL
from totesys_cli.replay_command import _COUNTS as REPLAYED
from totesys_cli.terminal import table
from totesys_cli.verify.verification_table import COUNTS as VERIFIED

LONGEST = max((one.name for one in MODEL.tables), key=len)
MANY, SOME = "12,345,678", "1,234"


@pytest.mark.parametrize(
    ("numbers", "cells"),
    [
        (VERIFIED, (MANY, MANY, SOME, SOME, SOME, SOME)),
        (("runs", *REPLAYED), (SOME, MANY, MANY, SOME)),
        (("extracted", "built", "written", "quarantined", "bytes"), (MANY, MANY, MANY, SOME, "1,234,567,890")),
        (("run", *REPLAYED, "version ids"), ("12345", MANY, MANY, SOME, "12345678-12345999")),
    ],
)
def test_counts_fit_80_columns(numbers: Sequence[str], cells: Sequence[str]) -> None:
    rows = table("table", numbers=numbers)
    rows.add_row(LONGEST, *cells)
    assert Console(width=200).measure(rows).maximum <= 80
