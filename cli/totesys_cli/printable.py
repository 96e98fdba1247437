"""Text of others, which may be anything, as a terminal can show it. Print it as rich's Text, which has no markup."""


def printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


def one_line(text: str, characters: int) -> str:
    """Its beginning, at most so many characters, on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= characters else f"{line[: characters - 1]}…"
