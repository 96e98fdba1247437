"""An environment: one file that says what `make deploy` makes; `environments/example.toml` explains each line."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from totesys_infra.names import Names
from totesys_infra.sizing import PRESETS, Egress, Preset, Sizing

FOLDER = Path(__file__).parent.parent / "environments"

SecretArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$")]
# 0: never. Nothing between 0 and 30: a run that transform has not read by then would be lost.
Days = Literal[0, 30, 60, 90, 180, 365]
Rate = Annotated[str, StringConstraints(pattern=r"^(rate\(.+\)|cron\(.+\))$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """The operational database. `secret` holds its DSN, of a role that may SELECT."""

    secret: SecretArn
    schema_name: str = Field(default="public", alias="schema")


class Warehouse(_Part):
    """The warehouse: `secret` holds the DSN of one that is there; without it an RDS instance is made."""

    secret: SecretArn | None = None
    schema_name: str = Field(default="warehouse", alias="schema")


class Network(_Part):
    """Where the tasks run: in a VPC that is there, by its id and that of its subnets, or in a new one."""

    vpc: Annotated[str, StringConstraints(pattern=r"^vpc-[0-9a-f]+$")] | None = None
    subnets: tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")], ...] = ()
    cidr: str = "10.42.0.0/16"
    egress: Egress | None = None


class Schedules(_Part):
    """How often; EventBridge's `rate(…)` or `cron(…)`."""

    tick: Rate = "rate(5 minutes)"
    sweep: Rate = "rate(1 hour)"
    verify: Rate = "rate(1 day)"


class Lake(_Part):
    """How old objects are kept, and how much one question of Athena may read.

    After `tier_days` large objects go to Intelligent-Tiering; after `csv_days` the CSV of the source expires, with
    which a run could be transformed again; 0: never. What a rebuild reads is never deleted.
    """

    tier_days: Days = 0
    csv_days: Days = 0
    query_gib: int = Field(default=10, ge=1)


class Environment(_Part):
    """All that can be set of one deployment."""

    # What every name begins with. Buckets have their names in the whole of AWS, so it has to be one of its own.
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}[a-z0-9]$")]
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    alert_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    sizing: Preset = "lean"
    http: Literal["private-dns", "alb"] = "private-dns"
    monthly_budget_usd: int = Field(default=100, ge=1)
    log_days: Literal[7, 14, 30, 60, 90, 180, 365] = 30
    # `owner/repository` that may deploy by OpenID Connect; without it no such role is made.
    github_repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    source: Source
    warehouse: Warehouse = Warehouse()
    network: Network = Network()
    schedules: Schedules = Schedules()
    lake: Lake = Lake()

    @property
    def names(self) -> Names:
        """What each thing of it is called."""
        return Names(self.name, self.account, self.region)

    @property
    def preset(self) -> Sizing:
        """What its `sizing` stands for."""
        return PRESETS[self.sizing]

    @property
    def egress(self) -> Egress:
        """How tasks in a new VPC reach AWS: as set, else as the preset says."""
        return self.network.egress or self.preset.egress


def read_environment(path: Path) -> Environment:
    """The environment that a TOML file declares.

    Raises OSError, TOMLDecodeError, or ValidationError that names each fault.
    """
    return Environment.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
