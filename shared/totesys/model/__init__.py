"""The model of totesys: its source tables and, star by star, its warehouse tables.

No other module of this project names one of these tables or columns.
"""

from totesys.model import conformed, payments, purchases, sales, source_tables
from totesys.schema import Model

MODEL = Model(
    name="totesys",
    sources=source_tables.SOURCES,
    tables=(*sales.TABLES, *purchases.TABLES, *payments.TABLES, *conformed.TABLES),
    simulation="totesys_simulation",
)
