"""Verification: compares every row and column of the warehouse with the source.

Both sides sum hashes of their rows by range of keys; only ranges whose sums differ are compared row by row. Changes of
the source after the newest run's snapshot are counted apart. It reads both databases and changes nothing.
"""

from totesys.verify.compare_tables import verify
from totesys.verify.verification_result import (
    NewestRun,
    Sample,
    TableComparison,
    UnequalRow,
    Verdict,
    Verification,
    equal,
)

__all__ = ["NewestRun", "Sample", "TableComparison", "UnequalRow", "Verdict", "Verification", "equal", "verify"]
