"""The services: one cluster, and three Fargate services with their settings and permissions."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.names import SERVICES, Names, Service
from totesys_infra.permissions import Permission, permissions
from totesys_infra.sizing import Task
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.http import InternalBalancer, private_dns, private_name
from totesys_infra.stacks.network_stack import READS_SOURCE, SERVICE_PORT, NetworkStack, retention
from totesys_infra.stacks.scaling import grow_with_backlog
from totesys_infra.stacks.task_roles import execution_role, task_role
from totesys_infra.stacks.warehouse_stack import WarehouseStack

# More than `shutdown_grace`, in which a run in progress finishes, and less than Fargate's 120 s.
STOP_SECONDS = 30
# The weights of on-demand and Spot among the tasks beyond the first.
ON_DEMAND, SPOT = 1, 4


class ServicesStack(cdk.Stack):
    """Ingest, transform and load on ARM64 Fargate, from the images with the tag in the parameter `ImageTag`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        environment: Environment,
        network: NetworkStack,
        warehouse: WarehouseStack | None,
    ) -> None:
        super().__init__(
            scope, construct_id, description=f"{environment.name}: its services", analytics_reporting=False
        )
        self._environment = environment
        self._names: Names = environment.names
        self._network = network
        self._warehouse = warehouse
        self._tag = cdk.CfnParameter(
            self,
            "ImageTag",
            allowed_pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
            description="The tag of the images: the commit they were built from",
        ).value_as_string
        self._source = secretsmanager.Secret.from_secret_complete_arn(self, "Source", environment.source.secret)
        self._token = self._trigger_token()
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=self._names.cluster,
            vpc=network.vpc,
            # AWS bills its metrics as custom metrics; the free ECS metrics also count the tasks.
            container_insights_v2=ecs.ContainerInsights.DISABLED,
        )
        acknowledge(self.cluster, "ECS4", "Insights would cost more than the smallest tasks and feed a single alarm.")
        resource = self.cluster.node.default_child
        assert isinstance(resource, ecs.CfnCluster)
        # In the cluster itself, so that it has them before the services exist.
        resource.capacity_providers = ["FARGATE", "FARGATE_SPOT"]
        self.services = {service: self._service(service) for service in SERVICES}
        # A release extracts for its own transform and load, so these are updated before ingest. One at a time, because
        # each reads what the one before it writes.
        self.services["load"].node.add_dependency(self.services["transform"])
        self.services["ingest"].node.add_dependency(self.services["load"])
        if environment.http == "alb":
            InternalBalancer(self, "Http", environment, network, self.services)
        else:
            private_dns(self, environment, network, self.services)
        grow_with_backlog(self, "transform", environment, self.services["transform"])

    def _trigger_token(self) -> secretsmanager.Secret:
        token = secretsmanager.Secret(
            self,
            "TriggerToken",
            secret_name=self._names.trigger_token,
            description="Bearer token of clients that trigger work",
            generate_secret_string=secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=40),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(token, "SMG4", "A task reads it only at its start, so a rotation would need a deployment.")
        return token

    def _service(self, service: Service) -> ecs.FargateService:
        is_single_writer, rebalancing = service == "load", ecs.AvailabilityZoneRebalancing
        task = self._environment.preset.tasks[service]
        return ecs.FargateService(
            self,
            service.title(),
            service_name=service,
            cluster=self.cluster,
            task_definition=self._task_definition(service, task),
            desired_count=task.minimum,
            # The only writer stops before its successor starts; the others always have a running task.
            min_healthy_percent=0 if is_single_writer else 100,
            max_healthy_percent=100 if is_single_writer else 200,
            # It would start a second task.
            availability_zone_rebalancing=rebalancing.DISABLED if is_single_writer else rebalancing.ENABLED,
            capacity_provider_strategies=[
                ecs.CapacityProviderStrategy(capacity_provider="FARGATE", base=1, weight=ON_DEMAND),
                ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=SPOT),
            ],
            platform_version=ecs.FargatePlatformVersion.VERSION1_4,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            vpc_subnets=self._network.tasks,
            assign_public_ip=self._network.public_addresses,
            # By id, so that the rule for the load balancer belongs to this stack, like the load balancer.
            security_groups=[
                ec2.SecurityGroup.from_security_group_id(
                    self,
                    f"{service.title()}Group",
                    self._network.services[service].security_group_id,
                    allow_all_outbound=False,
                )
            ],
            enable_execute_command=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )

    def _task_definition(self, service: Service, task: Task) -> ecs.FargateTaskDefinition:
        names = self._names
        log_group = logs.LogGroup(
            self,
            f"{service.title()}Log",
            log_group_name=names.log_group(service),
            retention=retention(self._environment),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        secrets = self._secrets(service)
        arns = [secret.secret_arn for secret in secrets.values()]
        execution = execution_role(self, service, names, arns, self._secret_keys(service))
        definition = ecs.FargateTaskDefinition(
            self,
            f"{service.title()}Task",
            family=f"{names.name}-{service}",
            cpu=task.cpu,
            memory_limit_mib=task.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            # They have all permissions; the CDK would add more.
            execution_role=execution.without_policy_updates(),
            task_role=task_role(self, service, self._grants(service)).without_policy_updates(),
            volumes=[ecs.Volume(name="tmp")],
        )
        self._add_container(definition, service, log_group, secrets)
        acknowledge(definition, "ECS2", "They hold names and addresses. Secrets come from Secrets Manager.")
        return definition

    def _add_container(
        self,
        definition: ecs.FargateTaskDefinition,
        service: Service,
        log_group: logs.LogGroup,
        secrets: Mapping[str, secretsmanager.ISecret],
    ) -> None:
        repository = ecr.Repository.from_repository_name(
            self, f"{service.title()}Repository", self._names.repository(service)
        )
        linux = ecs.LinuxParameters(self, f"{service.title()}Linux", init_process_enabled=True)
        linux.drop_capabilities(ecs.Capability.ALL)
        container = definition.add_container(
            service,
            image=ecs.ContainerImage.from_ecr_repository(repository, self._tag),
            essential=True,
            user="10001:10001",
            privileged=False,
            readonly_root_filesystem=True,
            linux_parameters=linux,
            stop_timeout=cdk.Duration.seconds(STOP_SECONDS),
            port_mappings=[ecs.PortMapping(container_port=SERVICE_PORT, name="http")],
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "-m", "totesys.service.probe"],
                interval=cdk.Duration.seconds(15),
                timeout=cdk.Duration.seconds(10),
                retries=4,
                start_period=cdk.Duration.seconds(60),
            ),
            environment=self._variables(service),
            secrets={name: ecs.Secret.from_secrets_manager(secret) for name, secret in secrets.items()},
            # A service does not wait for its log; lines that do not fit the buffer are dropped.
            logging=ecs.LogDriver.aws_logs(
                stream_prefix=service,
                log_group=log_group,
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=cdk.Size.mebibytes(16),
            ),
        )
        # Writable for the image's user.
        container.add_mount_points(ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False))  # noqa: S108 - a volume of the task

    def _variables(self, service: Service) -> dict[str, str]:
        names, environment = self._names, self._environment
        variables = {
            "AWS_DEFAULT_REGION": names.region,
            "TOTESYS_INGEST_BUCKET": names.bucket("ingest"),
            "TOTESYS_PROCESSED_BUCKET": names.bucket("processed"),
            "TOTESYS_QUEUE_URL": names.queue_url(names.queue(service)),
            "TOTESYS_DLQ_URL": names.queue_url(names.dead_letters(service)),
            "TOTESYS_PORT": str(SERVICE_PORT),
            "TOTESYS_MODEL": environment.model,
            "TOTESYS_METRICS_NAMESPACE": names.metrics_namespace,
        }
        if environment.http == "private-dns":
            variables["TOTESYS_ALLOWED_HOSTS"] = private_name(environment, service)
        if service != "transform":
            variables["TOTESYS_SOURCE_SCHEMA"] = environment.source.schema_name
        if service == "ingest":
            variables["TOTESYS_CAPTURE"] = environment.source.capture
        if service == "load":
            variables["TOTESYS_WAREHOUSE_SCHEMA"] = environment.warehouse.schema_name
            if self._warehouse is not None:
                variables["TOTESYS_WAREHOUSE_DSN"] = self._warehouse.dsn
        return variables

    def _secrets(self, service: Service) -> dict[str, secretsmanager.ISecret]:
        found: dict[str, secretsmanager.ISecret] = {"TOTESYS_TRIGGER_TOKEN": self._token}
        if service != "transform":
            found["TOTESYS_SOURCE_DSN"] = self._source
        if service == "load" and self._environment.warehouse.secret is not None:
            found["TOTESYS_WAREHOUSE_DSN"] = secretsmanager.Secret.from_secret_complete_arn(
                self, "Warehouse", self._environment.warehouse.secret
            )
        return found

    def _secret_keys(self, service: Service) -> list[str]:
        """The customer-managed KMS keys of the secrets that a service gets."""
        environment = self._environment
        keys = [environment.source.secret_key if service in READS_SOURCE else None]
        keys.append(environment.warehouse.secret_key if service == "load" else None)
        return sorted({key for key in keys if key})

    def _grants(self, service: Service) -> tuple[Permission, ...]:
        given = permissions(service, self._names, self._environment.declared)
        if service != "load" or self._warehouse is None:
            return given
        # Its ARN is known only after RDS created it.
        secret = (self._warehouse.secret_arn,)
        return (*given, Permission(("secretsmanager:GetSecretValue",), secret, "reads the password that RDS rotates"))
