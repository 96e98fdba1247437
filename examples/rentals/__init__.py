"""The model of a chain of film-rental shops: a second company on the same engine.

Its parts import each other relatively, so the folder works as `examples.rentals` here and as `rentals` in an image.
"""

from totesys.schema import Model

from . import dimensions, facts, source_tables

MODEL = Model(
    name="rentals",
    sources=source_tables.SOURCES,
    tables=(*facts.TABLES, *dimensions.TABLES),
    simulation=f"{__name__}.simulation",
)
