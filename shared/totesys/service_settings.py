"""The settings of all services: environment variables that start with `TOTESYS_`, or files with these names."""

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

# The least interval of repeated work.
SHORTEST_PERIOD = timedelta(milliseconds=100)
# The timeouts of Postgres are whole milliseconds below 2^31; 0 means none.
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
    """The settings of all three services. The AWS client reads its own: region, credentials, endpoint."""

    model_config = SettingsConfigDict(env_prefix="TOTESYS_", frozen=True, extra="ignore")

    model: str = Field(default="totesys.model", min_length=1, description="Module whose `MODEL` declares the tables.")

    ingest_bucket: str = Field(min_length=1, description="Bucket of the CSV and its manifests.")
    processed_bucket: str = Field(
        min_length=1, description="Bucket of the Parquet, the quarantine, and the records of transform and load."
    )
    queue_url: str = Field(min_length=1, description="Queue of this service.")
    dlq_url: str = Field(min_length=1, description="Dead-letter queue of this service.")

    host: str = Field(
        default="127.0.0.1",
        description="Address that HTTP listens on. Without a token it must be a loopback address, since anyone who "
        "reaches the port can trigger work. The images set `0.0.0.0`.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port of HTTP. 0 picks a free one.")
    allowed_hosts: str = Field(
        default="",
        pattern=r"^(\s*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\s*(,|$))*$",
        description="Host names of this service, separated by commas, as given by a load balancer, private DNS or a "
        "tunnel. The service always answers to addresses, `localhost`, its own name (`load`) and its "
        "machine's. It refuses all other names, which a web page could point here.",
    )
    trigger_token: SecretStr | None = Field(
        default=None, description="Token that `POST /trigger` requires as `Authorization: Bearer …`."
    )

    log_file: Path | None = Field(
        default=None,
        description="File that has the log lines of all services, as `totesys run --log` writes it. The console shows "
        "those of a run.",
    )

    metrics_namespace: str = Field(
        default=NAMESPACE,
        min_length=1,
        max_length=255,
        pattern=r"^[0-9A-Za-z.\-_/#:]+$",
        description="CloudWatch namespace of the metrics. It distinguishes deployments in one account.",
    )
    metrics: str = Field(
        default="",
        pattern=r"^[0-9A-Za-z,]*$",
        description="Names of the metrics to emit, separated by commas, as CloudWatch bills each; all by default. The "
        "log lines have every value either way.",
    )
    once: bool = Field(
        default=False,
        description="Do what is pending and what the queue has, then exit, without HTTP: for a task that a schedule "
        "starts. The exit code is 1 if something failed.",
    )

    visibility: Period = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(hours=12),
        description="Visibility timeout of a message in progress: twice the longest pause of a healthy event loop. It "
        "is extended after every third of it while the work goes on.",
    )
    long_poll: Period = Field(
        default=timedelta(seconds=20),
        ge=timedelta(seconds=1),
        le=timedelta(seconds=20),
        description="How long one receive waits for a message. The longest wait that SQS allows makes the fewest idle "
        "requests.",
    )
    max_receives: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="A message that fails at this receive is dead-lettered. The queue's redrive policy is the same.",
    )
    resync: Period = Field(
        default=timedelta(minutes=5),
        ge=SHORTEST_PERIOD,
        le=timedelta(days=1),
        description="How long a service waits for a message before it looks for pending work by itself: the interval "
        "of the schedule.",
    )
    shutdown_grace: Period = Field(
        default=timedelta(seconds=10),
        ge=timedelta(0),
        le=timedelta(seconds=120),
        description="How long work in progress may go on after SIGTERM. A run takes seconds; a longer one is released "
        "to another replica. Fargate kills a task after 120 s.",
    )

    alert_webhook: SecretStr | None = Field(
        default=None,
        description="Address that takes alerts as JSON, as Slack's incoming webhooks do. Each problem is sent once "
        "when it begins and once when it ends. On AWS, use `alert_https` of the environment instead.",
    )
    alert_every: Period = Field(
        default=timedelta(seconds=30),
        ge=SHORTEST_PERIOD,
        le=timedelta(hours=1),
        description="Interval at which a service looks for problems. A problem counts when two looks in a row find it.",
    )
    openlineage_url: str | None = Field(
        default=None,
        pattern=r"^(https?://[^\s/]+(/\S*)?|file:///\S+)?$",
        description="Where OpenLineage events go: an HTTP address, such as `http://marquez:5000/api/v1/lineage`, or a "
        "file, `file:///var/log/lineage.jsonl`. Unset or empty sends none.",
    )
    openlineage_api_key: SecretStr | None = Field(
        default=None, description="Key that is sent with each OpenLineage event, as `Authorization: Bearer …`."
    )

    @property
    def host_names(self) -> frozenset[str]:
        """The names in `allowed_hosts`."""
        return frozenset(name.strip().lower() for name in self.allowed_hosts.split(",")) - {""}

    @property
    def metric_names(self) -> frozenset[str]:
        """The names in `metrics`; none for all."""
        return frozenset(self.metrics.split(",")) - {""}

    @model_validator(mode="after")
    def _token_unless_loopback(self) -> "ServiceSettings":
        # An empty token, as from an unset variable in docker-compose.yml, guards nothing.
        if not self.trigger_token and not _is_loopback(self.host):
            raise ValueError(
                f"TOTESYS_HOST is {self.host}, which other machines can reach, and TOTESYS_TRIGGER_TOKEN is not set. "
                "Set a token, or listen on 127.0.0.1"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


S = TypeVar("S", bound=BaseSettings)

# The folder where Docker, ECS or Kubernetes mount secrets: the file `totesys_source_dsn` is TOTESYS_SOURCE_DSN.
SECRETS_DIR = "TOTESYS_SECRETS_DIR"


def read_settings(kind: type[S], **given: Any) -> S:
    """Settings of `kind` from `given`, then the environment, then the files in TOTESYS_SECRETS_DIR.

    Raises SettingsError, which names every fault.
    """
    try:
        with warnings.catch_warnings():
            # pydantic only warns of an unusable file.
            warnings.simplefilter("error", UserWarning)
            return kind(_secrets_dir=_secrets_folder(), **given)
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise SettingsError(f"{faults}. Set it and start again.") from None
    except pydantic_settings.SettingsError as error:
        cause = error.__cause__
        # Python's message about invalid text quotes a part of it.
        raise _unreadable("a file is not UTF-8 text" if isinstance(cause, UnicodeError) else str(cause)) from None


def _secrets_folder() -> Path | None:
    named = os.environ.get(SECRETS_DIR)
    if not named:
        return None
    if not Path(named).is_dir():
        raise _unreadable(f"{named} is not a folder")
    return Path(named)


def _unreadable(why: str) -> SettingsError:
    return SettingsError(f"{SECRETS_DIR}: {why}. Mount the secrets there, readable by this account.")


def _fault(location: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in location).upper()
    return f"TOTESYS_{name}: {message}" if name else message.removeprefix("Value error, ")
