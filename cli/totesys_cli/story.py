"""What the demo tells: lines for people, or a JSON object a line for programs."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager

from rich.console import Console

from totesys.service.runs import RunDetail
from totesys.verify import Verification
from totesys_cli import show
from totesys_cli.services import Event
from totesys_cli.verify.render import to_json, to_table


class Story:
    """Tells one thing after the other on `console`."""

    def __init__(self, console: Console, *, json: bool) -> None:
        self._console = console
        self._json = json

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Show on a terminal that something takes its time; beside the JSON."""
        return (Console(stderr=True) if self._json else self._console).status(text)

    def chapter(self, title: str) -> None:
        """Begin a part; programs do without."""
        if not self._json:
            self._console.rule(title)

    def fact(self, event: str, text: str, **fields: object) -> None:
        """Say `text`, or the event with its fields."""
        if self._json:
            self._line({"event": event, **fields})
        else:
            self._console.print(text, soft_wrap=True)

    def log(self, event: Event) -> None:
        """A log line of a service: what a person wants to see of it, or all."""
        if self._json:
            self._line(event.fields)
        elif text := show.line(event):
            self._console.print(text, soft_wrap=True)

    def run(self, run: RunDetail) -> None:
        """What a run brought, table by table."""
        if self._json:
            self._line({"event": "run", **run.model_dump(mode="json")})
        else:
            show.show_run(self._console, run)

    def verification(self, verification: Verification) -> None:
        """What a comparison found."""
        if self._json:
            self._line({"event": "verification", **json.loads(to_json(verification))})
        else:
            self._console.print(to_table(verification))

    def _line(self, fields: Mapping[str, object]) -> None:
        self._console.print_json(data=dict(fields), default=str, indent=None)
