"""The task definitions: containers with their images, settings, secrets and permissions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from totesys_infra.alarms import paid_metrics
from totesys_infra.environment import Environment
from totesys_infra.names import OPS, Image, Service
from totesys_infra.permissions import Permission, permissions
from totesys_infra.settings_sections import is_parameter
from totesys_infra.sizing import Task
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.http import private_name
from totesys_infra.stacks.network_stack import PORTS, READS_SOURCE
from totesys_infra.stacks.task_roles import Reads, execution_role, task_role
from totesys_infra.stacks.warehouse_stack import WarehouseStack

# More than `shutdown_grace`, in which a run in progress finishes, and less than Fargate's 120 s.
STOP_SECONDS = 30
TOKEN = "TOTESYS_TRIGGER_TOKEN"  # noqa: S105 - the name of a variable
EXEC = tuple(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data"))
# A rebuild loads as much as load does.
OPS_TASK = Task(512, 1024)
PROBE = ["CMD", "python", "-m", "totesys.service.probe"]


@dataclass(frozen=True)
class TaskDefinitions:
    """Makes the task definitions of an environment, with the images of one tag."""

    scope: Construct
    environment: Environment
    image_tag: str
    warehouse: WarehouseStack | None
    token: secretsmanager.ISecret | None
    log_groups: Mapping[Service | Literal["ops"], logs.LogGroup]

    def define(self, name: str, services: Sequence[Service], task: Task) -> ecs.FargateTaskDefinition:
        """A task with a container for each service. Containers of a scheduled task run one after the other."""
        arns = {arn: None for service in services for arn in self._arns(service).values()}
        keys = {key: None for service in services for key in self._keys(service)}
        granted = {grant: None for service in services for grant in self._grants(service)}
        reads = Reads(images=tuple(services), logs=tuple(services), secrets=tuple(arns), keys=tuple(keys))
        definition = self._definition(name, task, reads, tuple(granted))
        containers = [self._container(definition, service, last=service == services[-1]) for service in services]
        if self.environment.preset.scheduled:
            for before, after in pairwise(containers):
                # Also after a failure: what is pending of earlier runs goes on.
                after.add_container_dependencies(
                    ecs.ContainerDependency(container=before, condition=ecs.ContainerDependencyCondition.COMPLETE)
                )
        return definition

    def define_ops(self) -> ecs.FargateTaskDefinition:
        """The one-off task of the command, with the permissions of load: it does its work, or asks other services."""
        arns = {name: arn for name, arn in self._arns("load").items() if name != TOKEN}
        reads = Reads(images=("cli",), logs=(OPS,), secrets=tuple(arns.values()), keys=tuple(self._keys("load")))
        definition = self._definition(OPS, OPS_TASK, reads, self._grants("load"))
        container = definition.add_container(
            OPS,
            image=self._image("cli"),
            entry_point=["totesys"],
            command=["--help"],
            environment=self._variables("load")
            | {"TOTESYS_NAME": self.environment.name, "TOTESYS_HOST": "127.0.0.1", "COLUMNS": "160"},
            secrets={name: self._secret(name, arn) for name, arn in arns.items()},
            logging=ecs.LogDriver.aws_logs(stream_prefix=OPS, log_group=self.log_groups[OPS]),
            **self._confined(OPS),
        )
        container.add_mount_points(_tmp())
        return definition

    def _definition(
        self, name: str, task: Task, reads: Reads, granted: tuple[Permission, ...]
    ) -> ecs.FargateTaskDefinition:
        names = self.environment.names
        definition = ecs.FargateTaskDefinition(
            self.scope,
            f"{name.title()}Task",
            family=names.family(name),
            cpu=task.cpu,
            memory_limit_mib=task.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            # They have all permissions; the CDK would add more.
            execution_role=execution_role(self.scope, name, names, reads).without_policy_updates(),
            task_role=task_role(self.scope, name, granted).without_policy_updates(),
            volumes=[ecs.Volume(name="tmp"), *map(_agent_volume, self._agent_folders(name))],
        )
        acknowledge(definition, "ECS2", "They hold names and addresses. Secrets come from their stores.")
        return definition

    def _container(
        self, definition: ecs.FargateTaskDefinition, service: Service, *, last: bool
    ) -> ecs.ContainerDefinition:
        environment, sizing = self.environment, self.environment.preset
        is_part = sizing.task is not None and not sizing.scheduled
        reachable = environment.http_access != "none"
        container = definition.add_container(
            service,
            image=self._image(service),
            # ECS lets no other container wait for the end of an essential one.
            essential=last or not sizing.scheduled,
            memory_limit_mib=sizing.tasks[service].memory if is_part else None,
            port_mappings=[ecs.PortMapping(container_port=PORTS[service], name=service)] if reachable else None,
            health_check=None if sizing.scheduled else _health_check(),
            environment=self._variables(service),
            secrets={name: self._secret(name, arn) for name, arn in self._arns(service).items()},
            # A service does not wait for its log; lines that do not fit the buffer are dropped.
            logging=ecs.LogDriver.aws_logs(
                stream_prefix=service,
                log_group=self.log_groups[service],
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=cdk.Size.mebibytes(16),
            ),
            **self._confined(service),
        )
        container.add_mount_points(_tmp(), *map(_agent_mount, self._agent_folders(service)))
        return container

    def _agent_folders(self, task: str) -> tuple[str, ...]:
        """Where the agent of ECS Exec writes, as the root file system is read-only."""
        return ("lib", "log") if self.environment.exec and task != OPS else ()

    def _image(self, image: Image) -> ecs.ContainerImage:
        repository = ecr.Repository.from_repository_name(
            self.scope, f"{image.title()}Repository", self.environment.names.repository(image)
        )
        return ecs.ContainerImage.from_ecr_repository(repository, self.image_tag)

    def _confined(self, name: str) -> dict[str, Any]:
        """The restrictions of every container."""
        linux = ecs.LinuxParameters(self.scope, f"{name.title()}Linux", init_process_enabled=True)
        linux.drop_capabilities(ecs.Capability.ALL)
        return {
            "user": "10001:10001",
            "privileged": False,
            "readonly_root_filesystem": True,
            "linux_parameters": linux,
            "stop_timeout": cdk.Duration.seconds(STOP_SECONDS),
        }

    def _variables(self, service: Service) -> dict[str, str]:
        environment, names = self.environment, self.environment.names
        variables = {
            "AWS_DEFAULT_REGION": names.region,
            "TOTESYS_INGEST_BUCKET": names.bucket("ingest"),
            "TOTESYS_PROCESSED_BUCKET": names.bucket("processed"),
            "TOTESYS_QUEUE_URL": names.queue_url(names.queue(service)),
            "TOTESYS_DLQ_URL": names.queue_url(names.dead_letters(service)),
            "TOTESYS_PORT": str(PORTS[service]),
            "TOTESYS_MODEL": environment.model,
            "TOTESYS_METRICS_NAMESPACE": names.metrics_namespace,
        }
        if environment.preset.frugal:
            variables["TOTESYS_METRICS"] = ",".join(paid_metrics(environment))
        if environment.preset.scheduled:
            variables["TOTESYS_ONCE"] = "true"
        if environment.http_access == "none":
            variables["TOTESYS_HOST"] = "127.0.0.1"
        if environment.http_access == "private-dns":
            variables["TOTESYS_ALLOWED_HOSTS"] = private_name(environment, service)
        if service in READS_SOURCE:
            variables["TOTESYS_SOURCE_SCHEMA"] = environment.source.schema_name
        if service == "ingest":
            variables["TOTESYS_CAPTURE"] = environment.source.capture
        if service == "load":
            variables["TOTESYS_WAREHOUSE_SCHEMA"] = environment.warehouse.schema_name
            if self.warehouse is not None:
                variables["TOTESYS_WAREHOUSE_DSN"] = self.warehouse.dsn
        return variables

    def _arns(self, service: Service) -> dict[str, str]:
        """The ARN of the secret for each variable of a container."""
        arns = {} if self.token is None else {TOKEN: self.token.secret_arn}
        if service in READS_SOURCE:
            arns["TOTESYS_SOURCE_DSN"] = self.environment.source.secret
        if service == "load" and self.environment.warehouse.secret is not None:
            arns["TOTESYS_WAREHOUSE_DSN"] = self.environment.warehouse.secret
        return arns

    def _secret(self, variable: str, arn: str) -> ecs.Secret:
        if self.token is not None and variable == TOKEN:
            return ecs.Secret.from_secrets_manager(self.token)
        name = "Source" if variable == "TOTESYS_SOURCE_DSN" else "Warehouse"
        found = self.scope.node.try_find_child(name)
        if is_parameter(arn):
            parameter: Any = found or ssm.StringParameter.from_string_parameter_arn(self.scope, name, arn)
            return ecs.Secret.from_ssm_parameter(parameter)
        secret: Any = found or secretsmanager.Secret.from_secret_complete_arn(self.scope, name, arn)
        return ecs.Secret.from_secrets_manager(secret)

    def _keys(self, service: Service) -> list[str]:
        """The customer-managed KMS keys of the secrets that a service gets."""
        environment = self.environment
        keys = [environment.source.secret_key if service in READS_SOURCE else None]
        keys.append(environment.warehouse.secret_key if service == "load" else None)
        return sorted({key for key in keys if key})

    def _grants(self, service: Service) -> tuple[Permission, ...]:
        given = permissions(service, self.environment.names, self.environment.declared)
        if self.environment.exec:
            given = (*given, Permission(EXEC, ("*",), "ECS Exec: the channels of a session have no name before it"))
        given = (*given, *self._login_grants(service))
        if service != "load" or self.warehouse is None:
            return given
        # Its ARN is known only after RDS created it.
        secret = (self.warehouse.secret_arn,)
        return (*given, Permission(("secretsmanager:GetSecretValue",), secret, "reads the password that RDS rotates"))

    def _login_grants(self, service: Service) -> Iterator[Permission]:
        """Permissions for the logins that the DSNs of a service name."""
        environment = self.environment
        used = (
            ("source", environment.source, service in READS_SOURCE),
            ("warehouse", environment.warehouse, service == "load"),
        )
        for name, part, is_used in used:
            if is_used and part.login:
                reason = f"reads the login of the {name}, also after its rotation"
                yield Permission(("secretsmanager:GetSecretValue",), (part.login,), reason)
            if is_used and part.login_key:
                yield Permission(("kms:Decrypt",), (part.login_key,), f"decrypts the login of the {name}")


def _tmp() -> ecs.MountPoint:
    # Writable for the image's user.
    return ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False)  # noqa: S108 - a volume of the task


def _agent_volume(folder: str) -> ecs.Volume:
    return ecs.Volume(name=f"agent-{folder}")


def _agent_mount(folder: str) -> ecs.MountPoint:
    return ecs.MountPoint(container_path=f"/var/{folder}/amazon", source_volume=f"agent-{folder}", read_only=False)


def _health_check() -> ecs.HealthCheck:
    return ecs.HealthCheck(
        command=PROBE,
        interval=cdk.Duration.seconds(15),
        timeout=cdk.Duration.seconds(10),
        retries=4,
        start_period=cdk.Duration.seconds(60),
    )
