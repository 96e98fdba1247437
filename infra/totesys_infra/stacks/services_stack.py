"""The services: one cluster, and the Fargate tasks that run them as long as the preset says."""

from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.names import OPS, PIPELINE, SERVICES, Service
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.http import InternalBalancer, Services, private_dns
from totesys_infra.stacks.network_stack import NetworkStack, retention
from totesys_infra.stacks.scaling import grow_with_backlog
from totesys_infra.stacks.scheduled_task import run_at_each_tick
from totesys_infra.stacks.task_definitions import TaskDefinitions
from totesys_infra.stacks.warehouse_stack import WarehouseStack

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
        self._network = network
        tag = cdk.CfnParameter(
            self,
            "ImageTag",
            allowed_pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
            description="The tag of the images: the commit they were built from",
        ).value_as_string
        token = self._trigger_token() if environment.http_access != "none" else None
        self.cluster = self._cluster()
        # The same for every preset, so that none loses its log.
        log_groups = {of: self._log_group(of) for of in (*SERVICES, OPS)}
        self._tasks = TaskDefinitions(self, environment, tag, warehouse, token, log_groups)
        self._tasks.define_ops()
        sizing = environment.preset
        if sizing.task is None:
            services = self._separate_services()
            grow_with_backlog(self, "transform", environment, services["transform"])
        else:
            definition = self._tasks.define(PIPELINE, SERVICES, sizing.task)
            if sizing.scheduled:
                run_at_each_tick(self, environment, network, self.cluster, definition)
                return
            one = self._service(PIPELINE, SERVICES, definition)
            services = dict.fromkeys(SERVICES, one)
        if environment.http_access == "alb":
            InternalBalancer(self, "Http", environment, network, services)
        elif environment.http_access == "private-dns":
            private_dns(self, environment, network, services)

    def _cluster(self) -> ecs.Cluster:
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=self._environment.names.cluster,
            vpc=self._network.vpc,
            # AWS bills its metrics as custom metrics; the free ECS metrics also count the tasks.
            container_insights_v2=ecs.ContainerInsights.DISABLED,
        )
        acknowledge(cluster, "ECS4", "Insights would cost more than the smallest tasks and feed a single alarm.")
        resource = cluster.node.default_child
        assert isinstance(resource, ecs.CfnCluster)
        # In the cluster itself, so that it has them before the services exist.
        resource.capacity_providers = ["FARGATE", "FARGATE_SPOT"]
        return cluster

    def _trigger_token(self) -> secretsmanager.Secret:
        token = secretsmanager.Secret(
            self,
            "TriggerToken",
            secret_name=self._environment.names.trigger_token,
            description="Bearer token of clients that trigger work",
            generate_secret_string=secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=40),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(token, "SMG4", "A task reads it only at its start, so a rotation would need a deployment.")
        return token

    def _log_group(self, service: Service | Literal["ops"]) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            f"{service.title()}Log",
            log_group_name=self._environment.names.log_group(service),
            retention=retention(self._environment),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )

    def _separate_services(self) -> Services:
        sizes = self._environment.preset.tasks
        services = {
            service: self._service(service, (service,), self._tasks.define(service, (service,), sizes[service]))
            for service in SERVICES
        }
        # A release extracts for its own transform and load, so these are updated before ingest. One at a time, because
        # each reads what the one before it writes.
        services["load"].node.add_dependency(services["transform"])
        services["ingest"].node.add_dependency(services["load"])
        return services

    def _service(
        self, name: str, services: tuple[Service, ...], definition: ecs.FargateTaskDefinition
    ) -> ecs.FargateService:
        environment, rebalancing = self._environment, ecs.AvailabilityZoneRebalancing
        is_single_writer = "load" in services
        return ecs.FargateService(
            self,
            name.title(),
            service_name=name,
            cluster=self.cluster,
            task_definition=definition,
            desired_count=1 if is_single_writer else environment.preset.tasks[services[0]].minimum,
            # The only writer stops before its successor starts; the others always have a running task.
            min_healthy_percent=0 if is_single_writer else 100,
            max_healthy_percent=100 if is_single_writer else 200,
            # It would start a second task.
            availability_zone_rebalancing=rebalancing.DISABLED if is_single_writer else rebalancing.ENABLED,
            capacity_provider_strategies=_capacity(spot=environment.spot),
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
                for service in services
            ],
            enable_execute_command=environment.exec,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )


def _capacity(*, spot: bool) -> list[ecs.CapacityProviderStrategy]:
    if spot:
        return [ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=1)]
    return [
        ecs.CapacityProviderStrategy(capacity_provider="FARGATE", base=1, weight=ON_DEMAND),
        ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=SPOT),
    ]
