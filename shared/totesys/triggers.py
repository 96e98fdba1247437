"""The messages that trigger a stage: S3 events, the schedule's, and those of `POST /trigger`."""

import json
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from totesys.errors import BadMessage


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


RunNumber = Annotated[int, Field(ge=1, le=99_999_999)]
# In JSON, text and booleans are not numbers: pydantic would convert them.
_JsonRunNumber = Annotated[RunNumber, BeforeValidator(_number)]
# JSON Schema limits are floating-point numbers. These are exact, and beyond any key of one integer.
GREATEST_NUMBER = 10**18
_IntegerKey = Annotated[int, Field(ge=-GREATEST_NUMBER, le=GREATEST_NUMBER), BeforeValidator(_number)]
# A key goes by its text as well.
_TextKey = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
Key = _IntegerKey | _TextKey
# It becomes part of an object's key.
ReplayName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,100}$")]


class Trigger(BaseModel):
    """The content of a message. Without any field: do what is pending."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def of_message(self, _message_id: str) -> Self:
        """The trigger, completed with the id of the message that carries it."""
        return self


class ExtractTrigger(Trigger):
    """Asks ingest for an extraction.

    `changes` extracts the rows that changed, `full` every row. `sweep` extracts what changed and compares the keys of
    every table, which finds deleted rows. `repair` is a sweep that also extracts the rows named in `keys`, by source
    table, whether or not they changed; a full-refresh table is extracted whole, whatever its keys.
    """

    mode: Literal["changes", "full", "sweep", "repair"] = "changes"
    keys: dict[str, tuple[Key, ...]] = Field(default={}, max_length=100)
    # Shown in logs, manifests, the ledger and the console: one printable line.
    trigger: str = Field(default="manual", min_length=1, max_length=100, pattern=r"^[ -~]+$")


def _null_or_absent(*names: str) -> JsonDict:
    return {"properties": {name: {"type": "null"} for name in names}}


# What JSON Schema can express of the rules below.
_ONE_RUN_OR_A_RANGE: JsonDict = {
    "anyOf": [
        _null_or_absent("from_run", "to_run"),
        {
            "properties": {"run": {"type": "null"}, "from_run": {"type": "integer"}, "to_run": {"type": "integer"}},
            "required": ["from_run", "to_run"],
        },
    ]
}


class RunsTrigger(Trigger):
    """Asks transform or load for what is pending; with run numbers, to replay those runs first.

    Give either `run`, or `from_run` and `to_run`, which is not less than `from_run`. `replay` names the replay: a
    message with the same name continues it. Without a name, the message's id is the name.
    """

    model_config = ConfigDict(json_schema_extra=_ONE_RUN_OR_A_RANGE)

    run: _JsonRunNumber | None = None
    from_run: _JsonRunNumber | None = None
    to_run: _JsonRunNumber | None = None
    replay: ReplayName | None = None

    @model_validator(mode="after")
    def _check_range(self) -> "RunsTrigger":
        if self.run is not None and (self.from_run is not None or self.to_run is not None):
            raise PydanticCustomError("runs", "give either run, or from_run and to_run")
        if (self.from_run is None) != (self.to_run is None):
            raise PydanticCustomError("runs", "from_run and to_run go together")
        if self.from_run is not None and self.to_run is not None and self.from_run > self.to_run:
            raise PydanticCustomError("runs", "from_run is after to_run")
        return self

    @property
    def to_replay(self) -> tuple[int, int] | None:
        """The first and the last run to replay; None if the trigger names none."""
        if self.run is not None:
            return self.run, self.run
        if self.from_run is not None and self.to_run is not None:
            return self.from_run, self.to_run
        return None

    def of_message(self, message_id: str) -> Self:
        unnamed = self.to_replay is not None and self.replay is None
        return self.model_copy(update={"replay": message_id}) if unnamed else self


class LoadTrigger(RunsTrigger):
    """Asks load for what any `RunsTrigger` does; with `verify`, to compare the warehouse with the source afterwards."""

    verify: StrictBool = False


# An S3 event asks for this, too.
RECONCILE = RunsTrigger()

T = TypeVar("T", bound=Trigger)


def parse_message(body: str, kind: type[T]) -> T | None:
    """The trigger in a message's body; None for S3's test event, which asks for nothing. Raises BadMessage."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            raise TypeError("it is not a JSON object")
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
