"""Whether the warehouse is what the source says that it should be: every row, every column.

Both sides add up hashes of their rows by range of keys, so that only ranges whose sums differ are compared row by row.
What the warehouse need not have yet, because it came about after the newest run's snapshot, is told apart.
"""

from totesys.verify.compare_tables import verify
from totesys.verify.comparison import NewestRun, Sample, TableComparison, UnequalRow, Verdict, Verification, equal

__all__ = ["NewestRun", "Sample", "TableComparison", "UnequalRow", "Verdict", "Verification", "equal", "verify"]
