"""The company: the tables of totesys and, star by star, of its warehouse."""

from totesys.model import conformed, payments, purchases, sales, source_tables
from totesys.schema import Model

MODEL = Model(
    name="totesys",
    sources=source_tables.SOURCES,
    tables=(*sales.TABLES, *purchases.TABLES, *payments.TABLES, *conformed.TABLES),
    simulation="totesys_simulation",
)
