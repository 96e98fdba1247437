"""Whether the warehouse is what the source says that it should be: every row, every column."""

from totesys_cli.verify.comparison import Sample, TableComparison, equal
from totesys_cli.verify.render import to_json, to_table
from totesys_cli.verify.verification import verify

__all__ = ["Sample", "TableComparison", "equal", "to_json", "to_table", "verify"]
