"""The settings of one deployment. `environments/example.toml` explains each of them."""

import re
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from totesys.schema import Model, load_model
from totesys_infra.names import Names
from totesys_infra.settings_sections import (
    CertificateArn,
    LakeSettings,
    NetworkSettings,
    ScheduleSettings,
    Section,
    SourceSettings,
    WarehouseSettings,
    is_parameter,
)
from totesys_infra.sizing import Egress, Http, Preset, Sizing, sizing

# Prefixes that S3 reserves for buckets, and Elastic Load Balancing for load balancers.
_RESERVED = ("sthree-", "amzn-s3-demo-", "internal-")
# CloudFormation cuts the stack's part of a role's name to this, and its permissions on roles go by the full `{name}-`.
LONGEST_NAME = 24
# A longer interval would break the promised 30 minutes. `scheduled` states its own freshness.
LONGEST_TICK = 10
# Partitions whose ARNs and endpoints differ from those spelled out here.
_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eusc-")


def _fit_for_all(name: str) -> str:
    """A name that every kind of resource can begin with."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])", name):
        raise ValueError(
            f"name = '{name}' is not 2 to {LONGEST_NAME} lower-case letters, digits and hyphens, with a letter first "
            "and no hyphen last"
        )
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"name {name} has {len(name)} characters, and at most {LONGEST_NAME} are possible: AWS cuts the names of "
            "roles, and CloudFormation's permissions would no longer match them"
        )
    if "--" in name:
        raise ValueError(f"name {name} has two hyphens in a row, which RDS and ECR refuse")
    if name.startswith(_RESERVED):
        raise ValueError(f"name {name} begins with a prefix that AWS reserves: {', '.join(_RESERVED)}")
    return name


class Environment(Section):
    """All settings of one deployment."""

    # The prefix of every name. Bucket names are unique in all of AWS.
    name: Annotated[str, AfterValidator(_fit_for_all)]
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    alert_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    # An endpoint that takes alarms from SNS beside the e-mails, such as an incident service's.
    alert_https: Annotated[str, StringConstraints(pattern=r"^https://[^\s/]+(/\S*)?$")] | None = None
    # The module whose MODEL declares the tables. It has to be a package of the commit that is deployed.
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")] = "totesys.model"
    sizing: Preset = "lean"
    # Whether the single task of lean or scheduled runs on Spot, which AWS may interrupt.
    spot: bool = False
    # HTTP access to the services; the default is the preset's.
    http: Http | None = None
    # Whether `aws ecs execute-command` opens a shell in the tasks.
    exec: bool = False
    # The certificate of the load balancer, which needs TLS: clients send it their token.
    certificate: CertificateArn | None = None
    # More host names of the load balancer, such as the certificate's. The services answer to these and to its own.
    hosts: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")], ...] = ()
    monthly_budget_usd: int = Field(default=100, ge=1)
    log_days: Literal[7, 14, 30, 60, 90, 180, 365] = 30
    # Where the images are built: by CodeBuild, or with Docker on the machine that deploys.
    images: Literal["codebuild", "local"] = "codebuild"
    # An account has GitHub's OpenID Connect provider only once: "use" an existing one.
    github_provider: Literal["create", "use"] = "create"
    # `owner/repository` whose workflow may deploy through OpenID Connect. Without it, no such role is created.
    github_repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    # GitHub's numeric ids of that owner and repository, which the tokens of newer repositories carry.
    github_owner_id: int | None = Field(default=None, ge=1)
    github_repository_id: int | None = Field(default=None, ge=1)
    source: SourceSettings
    warehouse: WarehouseSettings = WarehouseSettings()
    network: NetworkSettings = NetworkSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    lake: LakeSettings = LakeSettings()

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if self.region.startswith(_OTHER_PARTITIONS):
            raise ValueError(f"region {self.region} is in an AWS partition that is not supported")
        for what, arn in (
            ("secret of source", self.source.secret),
            ("key of the source's secret", self.source.secret_key),
            ("login of the source", self.source.login),
            ("key of the source's login", self.source.login_key),
            ("secret of warehouse", self.warehouse.secret),
            ("key of the warehouse's secret", self.warehouse.secret_key),
            ("login of the warehouse", self.warehouse.login),
            ("key of the warehouse's login", self.warehouse.login_key),
            ("certificate", self.certificate),
        ):
            if arn is not None and arn.split(":")[3:5] != [self.region, self.account]:
                raise ValueError(
                    f"the {what} has to be in {self.region} of the account {self.account}, like all other resources: "
                    "its ARN names another place"
                )
        return self

    @model_validator(mode="after")
    def _certified(self) -> Self:
        if (self.http == "alb") != (self.certificate is not None):
            raise ValueError('a certificate goes with http = "alb": set both or neither')
        if self.hosts and self.http != "alb":
            raise ValueError('hosts are names of the load balancer, which needs http = "alb"')
        return self

    @model_validator(mode="after")
    def _possible_with_the_preset(self) -> Self:
        if self.spot and not self.preset.frugal:
            raise ValueError(
                'spot is for sizing "lean" and "scheduled": other presets already run their additional tasks on Spot'
            )
        if self.preset.scheduled and self.http_access != "none":
            raise ValueError(
                f'http = "{self.http}" needs tasks that keep running: choose another sizing than "scheduled"'
            )
        if not self.preset.scheduled and self.tick_minutes > LONGEST_TICK:
            raise ValueError(
                f"schedules.tick = {self.tick} would break the promised 30 minutes: at most {LONGEST_TICK} minutes, "
                'except with sizing = "scheduled"'
            )
        if self.warehouse.readers and self.warehouse.secret:
            raise ValueError(
                "warehouse.readers is for the instance that is created: admit readers to your own warehouse"
            )
        return self

    @model_validator(mode="after")
    def _reaches_the_source(self) -> Self:
        source, network = self.source, self.network
        if network.vpc and source.peering:
            raise ValueError("source.peering is for a new VPC: an existing one has its own routes")
        if source.security_group and not (network.vpc or source.peering):
            raise ValueError(
                "source.security_group can admit the tasks only from the same VPC or a peered one: "
                "set vpc under [network], or source.peering"
            )
        if not network.vpc and self.egress == "endpoints" and not source.peering:
            raise ValueError(
                'egress "endpoints" leaves the tasks in a new VPC no route to the source: choose "nat" or "public", '
                "or a VPC that reaches the source (vpc under [network]), or set source.peering and source.cidr"
            )
        if source.cidr and IPv4Network(source.cidr).overlaps(IPv4Network(network.cidr)):
            raise ValueError(
                f"source.cidr {source.cidr} overlaps the new VPC's {network.cidr}: change cidr under [network]"
            )
        return self

    @model_validator(mode="after")
    def _has_a_key_for_a_secret(self) -> Self:
        if self.warehouse.secret_key and not self.warehouse.secret:
            raise ValueError("warehouse.secret_key is the key of warehouse.secret, which is not set")
        if self.warehouse.login and not self.warehouse.secret:
            raise ValueError("warehouse.login belongs to the DSN in warehouse.secret, which is not set")
        for name, part in (("source", self.source), ("warehouse", self.warehouse)):
            if part.login_key and not part.login:
                raise ValueError(f"{name}.login_key is the key of {name}.login, which is not set")
        return self

    @model_validator(mode="after")
    def _github_ids(self) -> Self:
        ids = (self.github_owner_id, self.github_repository_id)
        if ids != (None, None) and (None in ids or self.github_repository is None):
            raise ValueError("github_owner_id and github_repository_id go together, and with github_repository")
        return self

    @property
    def github_subjects(self) -> tuple[str, ...]:
        """The token subjects of the workflow jobs that may deploy: jobs of the GitHub environment `name`.

        Repositories that were created, renamed or transferred since 2026-07-15 put ids into the subject; older ones
        send names alone until they opt in.
        """
        if self.github_repository is None:
            return ()
        subjects = [f"repo:{self.github_repository}:environment:{self.name}"]
        if self.github_repository_id is not None:
            owner, _, repository = self.github_repository.partition("/")
            with_ids = f"{owner}@{self.github_owner_id}/{repository}@{self.github_repository_id}"
            subjects.append(f"repo:{with_ids}:environment:{self.name}")
        return tuple(subjects)

    @property
    def http_access(self) -> Http:
        """How the services are reached over HTTP: the setting, or the preset's default."""
        return self.http or self.preset.http

    @property
    def tick(self) -> str:
        """The interval of extractions: the setting, or the preset's default."""
        return self.schedules.tick or self.preset.tick

    @property
    def tick_minutes(self) -> int:
        """That interval in minutes."""
        return 60 if "hour" in self.tick else int("".join(filter(str.isdigit, self.tick)))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The ARNs of those secrets that are SSM parameters."""
        return tuple(arn for arn in self.secrets if is_parameter(arn))

    @property
    def declared(self) -> Model:
        """Its model, from which permissions, catalog and lifecycle derive. Raises ModelError."""
        return load_model(self.model)

    @property
    def names(self) -> Names:
        """The names of its resources."""
        return Names(self.name, self.account, self.region)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The ARNs of the secrets that have to exist."""
        source, warehouse = self.source, self.warehouse
        arns = (source.secret, source.login, warehouse.secret, warehouse.login)
        return tuple(arn for arn in arns if arn is not None)

    @property
    def runbook(self) -> str:
        """The runbook's address: in the repository that deploys, or in a checkout."""
        page = "docs/runbook.md"
        return f"https://github.com/{self.github_repository}/blob/main/{page}" if self.github_repository else page

    @property
    def preset(self) -> Sizing:
        """Its sizing in its region, with the disk that is set."""
        found = sizing(self.sizing, self.region)
        return replace(found, warehouse_gib=self.warehouse.storage_gib or found.warehouse_gib)

    @property
    def egress(self) -> Egress:
        """How tasks in a new VPC reach AWS: the setting, or the preset's default."""
        return self.network.egress or self.preset.egress
