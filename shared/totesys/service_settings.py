"""What every service can be told, by environment variables that start with `TOTESYS_` or by files of such names."""

import os
import re
import warnings
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic_settings
from pydantic import BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from totesys.errors import SettingsError
from totesys.logs import NAMESPACE

# What is done again and again must not take the machine.
SHORTEST_PERIOD = timedelta(milliseconds=100)
# Postgres counts its limits of time in whole milliseconds below 2^31, and 0 means none.
SHORTEST_LIMIT = timedelta(milliseconds=1)
LONGEST_LIMIT = timedelta(days=24)

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_PERIOD = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s?([smh]?)\s*")
_iso_8601: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def _read_period(value: object) -> timedelta:
    if isinstance(value, str) and (written := _PERIOD.fullmatch(value)):
        return timedelta(seconds=float(written[1]) * _UNITS[written[2]])
    try:
        return _iso_8601.validate_python(value)
    except ValidationError:
        raise PydanticCustomError(
            "period", "Write a period as seconds, 90, with its unit, 90 s, 5m or 1h, or as ISO 8601 has it, PT90S"
        ) from None


# A period as people write it: `90`, `90 s`, `5m`, `1h`, `PT90S`.
Period = Annotated[timedelta, BeforeValidator(_read_period)]


class ServiceSettings(BaseSettings):
    """Settings of all three services. AWS's own (region, credentials, endpoint) are read by its client."""

    model_config = SettingsConfigDict(env_prefix="TOTESYS_", frozen=True, extra="ignore")

    model: str = Field(
        default="totesys.model", min_length=1, description="The module whose `MODEL` declares the company's tables."
    )

    ingest_bucket: str = Field(min_length=1, description="The bucket of CSV and its manifests.")
    processed_bucket: str = Field(
        min_length=1, description="The bucket of Parquet, quarantine, and transform's and load's records."
    )
    queue_url: str = Field(min_length=1, description="The queue that wakes this service.")
    dlq_url: str = Field(min_length=1, description="The queue of the messages that this service gave up.")

    host: str = Field(
        default="127.0.0.1",
        description="Where HTTP listens. Anyone who reaches the port may trigger work: without a token only a loopback "
        "address is accepted. The images set `0.0.0.0`.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="The port of HTTP; 0 takes a free one.")
    allowed_hosts: str = Field(
        default="",
        pattern=r"^(\s*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\s*(,|$))*$",
        description="Names under which others reach this service, with commas between them, as a balancer, private DNS "
        "or a tunnel gives them. It answers to addresses, `localhost`, its own name (`load`) and its machine's anyway, "
        "and to no other: a web page could point a name of its own here.",
    )
    trigger_token: SecretStr | None = Field(
        default=None, description="What `POST /trigger` asks for as `Authorization: Bearer …`."
    )

    metrics_namespace: str = Field(
        default=NAMESPACE,
        min_length=1,
        max_length=255,
        pattern=r"^[0-9A-Za-z.\-_/#:]+$",
        description="CloudWatch's namespace of the metrics. Tells several deployments in one account apart.",
    )

    visibility: Period = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(hours=12),
        description="How long a message at work is hidden from other replicas: twice the longest pause that a healthy "
        "event loop makes. Extended every third of it while work goes on.",
    )
    long_poll: Period = Field(
        default=timedelta(seconds=20),
        ge=timedelta(seconds=1),
        le=timedelta(seconds=20),
        description="How long one receive waits for a message. The longest that SQS allows makes the fewest requests "
        "while nothing happens.",
    )
    max_receives: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="A message that fails at this receive is given up. The queue's redrive policy says the same.",
    )
    resync: Period = Field(
        default=timedelta(minutes=5),
        ge=SHORTEST_PERIOD,
        le=timedelta(days=1),
        description="How long a service goes without a message before it looks for what is undone: as often as "
        "the tick.",
    )
    shutdown_grace: Period = Field(
        default=timedelta(seconds=10),
        ge=timedelta(0),
        le=timedelta(seconds=120),
        description="How long work at hand may go on after SIGTERM. A run takes seconds; what takes longer is given "
        "back to another replica. Fargate kills a task at 120 s.",
    )

    @property
    def host_names(self) -> frozenset[str]:
        """The names of `allowed_hosts`."""
        return frozenset(name.strip().lower() for name in self.allowed_hosts.split(",")) - {""}

    @model_validator(mode="after")
    def _token_unless_loopback(self) -> "ServiceSettings":
        # An empty one, as a composed environment gives where nothing is set, guards nothing.
        if not self.trigger_token and not _is_loopback(self.host):
            raise ValueError(
                f"TOTESYS_HOST is {self.host}, which others can reach, and there is no TOTESYS_TRIGGER_TOKEN. "
                "Set a token, or listen on 127.0.0.1"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


S = TypeVar("S", bound=BaseSettings)

# Names the folder where Docker, ECS or Kubernetes mount secrets: a file `totesys_source_dsn` is TOTESYS_SOURCE_DSN.
SECRETS_DIR = "TOTESYS_SECRETS_DIR"


def read_settings(kind: type[S], **given: Any) -> S:
    """Settings of `kind` from `given`, else the environment, else the files of the folder TOTESYS_SECRETS_DIR.

    Raises SettingsError that names each fault.
    """
    try:
        with warnings.catch_warnings():
            # A file that cannot be what it should be is only warned of.
            warnings.simplefilter("error", UserWarning)
            return kind(_secrets_dir=_secrets_folder(), **given)
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise SettingsError(f"{faults}. Set it and start again.") from None
    except pydantic_settings.SettingsError as error:
        cause = error.__cause__
        # What Python says of text that is none shows a part of it.
        raise _unreadable("a file is no UTF-8 text" if isinstance(cause, UnicodeError) else str(cause)) from None


def _secrets_folder() -> Path | None:
    named = os.environ.get(SECRETS_DIR)
    if not named:
        return None
    if not Path(named).is_dir():
        raise _unreadable(f"{named} is no folder")
    return Path(named)


def _unreadable(why: str) -> SettingsError:
    return SettingsError(f"{SECRETS_DIR}: {why}. Mount the secrets there so that this account can read them.")


def _fault(location: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in location).upper()
    return f"TOTESYS_{name}: {message}" if name else message.removeprefix("Value error, ")
