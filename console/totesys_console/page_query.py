"""What a request of the home page selects: runs, and the time that the charts cover. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from totesys_console.run_cache import Listed

Show: TypeAlias = Literal["changes", "failed", "all"]
Window: TypeAlias = Literal["1h", "24h", "7d"]
WINDOWS: Mapping[Window, timedelta] = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}

WINDOW_NAMES: Mapping[Window, str] = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days"}
SHOW_NAMES: Mapping[Show, str] = {"changes": "With changes", "failed": "Failed", "all": "All"}
SHOW_CAPTIONS: Mapping[Show, str] = {"changes": " with changes", "failed": " that failed", "all": ""}


@dataclass(frozen=True)
class PageQuery:
    """The page of runs below run `before`, of the UTC date `on`; None for the newest runs of all dates.

    `window` None is the shortest that covers what is known, at most a day.
    """

    show: Show = "changes"
    on: date | None = None
    before: int | None = None
    window: Window | None = None

    def lists(self, run: Listed) -> bool:
        """Whether the page lists a run, apart from its date."""
        return self.show == "all" or (run.failed if self.show == "failed" else not run.empty)

    @property
    def begin(self) -> datetime | None:
        """When the date begins."""
        return datetime.combine(self.on, time(), UTC) if self.on else None

    @property
    def end(self) -> datetime | None:
        """When the date ends."""
        return self.begin + timedelta(days=1) if self.begin else None

    def url(self, **changes: Any) -> str:
        """The address of the home page with this query after the changes."""
        fields = {name: value for name, value in asdict(replace(self, **changes)).items() if value is not None}
        if fields["show"] == "changes":
            del fields["show"]
        return f"/?{urlencode(fields)}" if fields else "/"
