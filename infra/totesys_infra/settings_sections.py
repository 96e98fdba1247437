"""The sections of an environment's settings, and the types of their values."""

from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from totesys_infra.sizing import Egress

KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:aws:kms:[a-z0-9-]+:\d{12}:key/.+$")]
CertificateArn = Annotated[str, StringConstraints(pattern=r"^arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/.+$")]
# A secret of Secrets Manager, or an SSM parameter of the type SecureString, which costs nothing.
SecretArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws:(secretsmanager:[a-z0-9-]+:\d{12}:secret:|ssm:[a-z0-9-]+:\d{12}:parameter/).+$"
    ),
]
# A secret with `username` and `password`, as RDS makes and rotates them.
LoginArn = Annotated[str, StringConstraints(pattern=r"^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$")]
# 0 is never. Fewer than 30 could delete a run that transform has not read yet.
Days = Literal[0, 30, 60, 90, 180, 365]
Tick = Annotated[str, StringConstraints(pattern=r"^rate\((1 minute|([2-9]|[1-9]\d) minutes|1 hour)\)$")]
Rate = Annotated[
    str,
    StringConstraints(
        pattern=r"^(rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)|cron\([^\s)]+( [^\s)]+){5}\))$"
    ),
]
SchemaName = Annotated[str, StringConstraints(min_length=1)]


def _range(cidr: str) -> str:
    try:
        IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr {cidr} is not a range of addresses, such as 10.42.0.0/16: {error}") from error
    return cidr


def _reader(reader: str) -> str:
    if reader.startswith("sg-"):
        return reader
    if IPv4Network(_range(reader)).prefixlen == 0:
        raise ValueError(f"reader {reader} is the whole internet: name security groups, or the ranges of your network")
    return reader


def _with_room(cidr: str) -> str:
    if not 16 <= IPv4Network(_range(cidr)).prefixlen <= 24:
        raise ValueError(f"cidr {cidr} is not /16 to /24, which the subnets of a VPC need")
    return cidr


Cidr = Annotated[str, AfterValidator(_with_room)]


def is_parameter(secret: str) -> bool:
    """Whether a secret's ARN is that of an SSM parameter."""
    return secret.startswith("arn:aws:ssm:")


class Section(BaseModel):
    """Frozen settings without unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Section):
    """A database that exists: `secret` holds its DSN. `login` is the secret that the DSN names in `secret=`, if any.

    The tasks read the login again when it is refused, so that a rotated password needs no restart.
    """

    # The customer-managed KMS keys of these secrets, if they have one.
    secret_key: KeyArn | None = None
    login: LoginArn | None = None
    login_key: KeyArn | None = None
    # The port of the DSN.
    port: int = Field(default=5432, ge=1, le=65535)


class SourceSettings(DatabaseSettings):
    """The operational database, and how tasks reach it. `secret` holds the DSN of a role that may SELECT."""

    secret: SecretArn
    schema_name: SchemaName = Field(default="public", alias="schema")
    # How ingest finds changed rows: docs/capture.md.
    capture: Literal["scan", "log"] = "scan"
    # The database's security group, to which a rule for the tasks is added.
    security_group: Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]+$")] | None = None
    # The peering connection of a new VPC through which the database is reached, and the addresses behind it.
    peering: Annotated[str, StringConstraints(pattern=r"^pcx-[0-9a-f]+$")] | None = None
    cidr: Annotated[str, AfterValidator(_range)] | None = None

    @model_validator(mode="after")
    def _peered_range(self) -> Self:
        if (self.peering is None) != (self.cidr is None):
            raise ValueError("source.peering and source.cidr go together: the connection, and the addresses behind it")
        return self


class WarehouseSettings(DatabaseSettings):
    """The warehouse: `secret` holds the DSN of an existing one at `port`. Without it, an RDS instance is created."""

    secret: SecretArn | None = None
    schema_name: SchemaName = Field(default="warehouse", alias="schema")
    # The initial disk of the instance. RDS grows it automatically and cannot shrink it.
    storage_gib: int | None = Field(default=None, ge=20, le=6144)
    # Who else may connect to that instance: security groups and address ranges.
    readers: tuple[Annotated[str, AfterValidator(_reader)], ...] = ()


class NetworkSettings(Section):
    """Where the tasks run: in an existing VPC, given by its id and those of its subnets, or in a new one."""

    vpc: Annotated[str, StringConstraints(pattern=r"^vpc-[0-9a-f]+$")] | None = None
    subnets: tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")], ...] = ()
    cidr: Cidr = "10.42.0.0/16"
    egress: Egress | None = None

    @model_validator(mode="after")
    def _subnets_of_a_vpc(self) -> Self:
        if self.vpc and len(set(self.subnets)) < 2:
            raise ValueError("an existing VPC needs at least two subnets, in different zones")
        if self.vpc and self.egress not in (None, "public"):
            raise ValueError(
                f'egress "{self.egress}" is for a new VPC: an existing one has its own route to AWS. Remove egress, or '
                'set it to "public" to give the tasks public addresses'
            )
        if self.subnets and not self.vpc:
            raise ValueError("subnets need their VPC: set vpc")
        return self


class ScheduleSettings(Section):
    """The schedules, as EventBridge's `rate(…)` or `cron(…)`."""

    # The preset's, if it is not set.
    tick: Tick | None = None
    sweep: Rate = "rate(1 hour)"
    verify: Rate = "rate(1 day)"


class LakeSettings(Section):
    """Retention of objects, and how much one Athena query may read.

    After `tier_days`, large objects move to Intelligent-Tiering. After `csv_days`, the source's CSV expires; a run
    cannot be transformed again without it. 0 is never. What a rebuild reads is never deleted.
    """

    tier_days: Days = 0
    csv_days: Days = 0
    query_gib: int = Field(default=10, ge=1)
