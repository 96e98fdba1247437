"""The messages that wake a service: S3 events, the schedule's and the HTTP trigger's."""

import json
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from totesys.errors import BadMessage

RunNumber = Annotated[int, Field(ge=1, le=99_999_999)]


# It is part of a key.
ReplayName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,100}$")]


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise PydanticCustomError("key_type", "A key is a number")
    return value


# A schema's limits are floating-point numbers: these are exact, and beyond any key.
Key = Annotated[int, Field(ge=-(10**18), le=10**18), BeforeValidator(_number)]


class Trigger(BaseModel):
    """A message's content. Without any field it says: do what is undone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def of_message(self, _message_id: str) -> Self:
        """The same, as the message of this id says it whenever it is received."""
        return self


class ExtractTrigger(Trigger):
    """Asks ingest for an extraction.

    `changes` takes the rows that changed. `full` takes every row. `sweep` takes what changed, and of every table the
    keys that are there, which tells what was deleted; `repair` is a sweep with `keys`. These name, by source table,
    rows that come whether or not they changed; a table captured as a snapshot comes whole, whatever its keys.
    """

    mode: Literal["changes", "full", "sweep", "repair"] = "changes"
    keys: dict[str, tuple[Key, ...]] = Field(default={}, max_length=100)
    # It goes into logs, manifests, the ledger and the console: one line that anybody can read.
    trigger: str = Field(default="manual", min_length=1, max_length=100, pattern=r"^[ -~]+$")


class RunsTrigger(Trigger):
    """Asks transform or load for what is undone; with numbers, to do those runs again even if they are done.

    `replay` names that work: asked for under the same name again, it goes on where it was. Without a name the message's
    id is one.
    """

    run: RunNumber | None = None
    from_run: RunNumber | None = None
    to_run: RunNumber | None = None
    replay: ReplayName | None = None

    @model_validator(mode="after")
    def _one_way_to_name_runs(self) -> "RunsTrigger":
        if self.run is not None and (self.from_run is not None or self.to_run is not None):
            raise ValueError("give either run, or from_run and to_run")
        if (self.from_run is None) != (self.to_run is None):
            raise ValueError("from_run and to_run go together")
        if self.from_run is not None and self.to_run is not None and self.from_run > self.to_run:
            raise ValueError("from_run is after to_run")
        return self

    @property
    def again(self) -> tuple[int, int] | None:
        """First and last run to do again, or None."""
        if self.run is not None:
            return self.run, self.run
        if self.from_run is not None and self.to_run is not None:
            return self.from_run, self.to_run
        return None

    def of_message(self, message_id: str) -> Self:
        unnamed = self.again is not None and self.replay is None
        return self.model_copy(update={"replay": message_id}) if unnamed else self


class LoadTrigger(RunsTrigger):
    """Asks load for what any `RunsTrigger` does, then with `verify` to compare the warehouse with the source."""

    verify: bool = False


# What an S3 event says, too.
RECONCILE = RunsTrigger()

W = TypeVar("W", bound=Trigger)


def parse_message(body: str, kind: type[W]) -> W | None:
    """A message's body as a wake-up; None for S3's test event, which asks for nothing. Raises BadMessage."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            raise TypeError("it is no JSON object")
        if content.get("Event") == "s3:TestEvent":
            return None
        if "Records" in content:
            return kind()
        return kind.model_validate(content)
    except RecursionError as error:
        raise BadMessage("The message is neither an S3 event nor a trigger: it is nested too deeply.") from error
    except (ValueError, TypeError) as error:
        reason = _first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise BadMessage(f"The message is neither an S3 event nor a trigger: {reason}.") from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip()
