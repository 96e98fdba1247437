"""Records a command in a terminal as an asciinema cast: `python -m website.recording FILE COMMAND [ARGUMENT …]`."""

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

COLUMNS, ROWS = 92, 32
# The command and its prompt, as somebody would have typed it.
PROMPT = "\x1b[32m$\x1b[0m "
# Longer pauses are cut: nobody watches a terminal in which nothing happens.
LONGEST_PAUSE_S = 2.0
# The names of temporary folders say nothing, and differ each time.
_TEMPORARY = re.compile(r"(/tmp/totesys-[a-z]+-)\w+")

Event = tuple[float, str]


def record(command: list[str]) -> Iterator[Event]:
    """Run the command on a terminal of its own; yield what it prints, each with the seconds since the start."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(pty.STDIN_FILENO, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        # Make would print the folder if it knew that another make had called it.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        os.execvpe(command[0], command, kept | {"TERM": "xterm-256color"})  # noqa: S606 - the caller's own command
    started, decoder = time.monotonic(), codecs.getincrementaldecoder("utf-8")()
    while data := _read(terminal):
        if text := decoder.decode(data):
            yield time.monotonic() - started, text
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(f"{' '.join(command)} ended with {status}: nothing was recorded.")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the last program has closed it.
        return b""


def cast(command: list[str], events: list[Event]) -> str:
    """The recording as asciicast v2: with the typed command, without long pauses and temporary names."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": " ".join(command)}
    lines = [json.dumps(header), json.dumps([0.0, "o", f"{PROMPT}{' '.join(command)}\r\n"])]
    at = previous = 0.0
    for seconds, text in events:
        at += min(seconds - previous, LONGEST_PAUSE_S)
        previous = seconds
        lines.append(json.dumps([round(at, 2), "o", _TEMPORARY.sub(r"\1…", text)], ensure_ascii=False))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target, *argv = sys.argv[1:]
    Path(target).write_text(cast(argv, list(record(argv))), encoding="utf-8")
