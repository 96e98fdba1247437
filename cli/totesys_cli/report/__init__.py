"""Report: a page for the business side, of one moment of the warehouse."""
