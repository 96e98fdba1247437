"""The data dictionary: what each table and column of a warehouse says, as Markdown made of the declarations. Pure."""

from totesys_cli.dictionary.page import to_markdown

__all__ = ["to_markdown"]
