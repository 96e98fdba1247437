"""Runs the pipeline as one task per tick, started by EventBridge Scheduler."""

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler

from totesys_infra.environment import Environment
from totesys_infra.names import PIPELINE, SERVICES
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.network_stack import NetworkStack

# A task that ECS cannot start in this time is left to the next tick.
RETRY_SECONDS = 300


def run_at_each_tick(
    stack: cdk.Stack,
    environment: Environment,
    network: NetworkStack,
    cluster: ecs.Cluster,
    definition: ecs.FargateTaskDefinition,
) -> None:
    """Start the task at each tick. A tick that overlaps the one before waits for its lock, or finds nothing to do."""
    target = scheduler.CfnSchedule
    target(
        stack,
        "EachTick",
        name=f"{environment.name}-{PIPELINE}",
        description=f"Starts the pipeline of {environment.name}",
        schedule_expression=environment.tick,
        flexible_time_window=target.FlexibleTimeWindowProperty(mode="OFF"),
        target=target.TargetProperty(
            arn=cluster.cluster_arn,
            role_arn=_role(stack, environment, cluster, definition).role_arn,
            retry_policy=target.RetryPolicyProperty(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=3
            ),
            ecs_parameters=target.EcsParametersProperty(
                task_definition_arn=definition.task_definition_arn,
                capacity_provider_strategy=[
                    target.CapacityProviderStrategyItemProperty(
                        capacity_provider="FARGATE_SPOT" if environment.spot else "FARGATE", weight=1
                    )
                ],
                platform_version="1.4.0",
                propagate_tags="TASK_DEFINITION",
                network_configuration=target.NetworkConfigurationProperty(
                    awsvpc_configuration=target.AwsVpcConfigurationProperty(
                        assign_public_ip="ENABLED" if network.public_addresses else "DISABLED",
                        security_groups=[network.services[service].security_group_id for service in SERVICES],
                        subnets=network.task_subnets,
                    )
                ),
            ),
        ),
    )


def _role(
    stack: cdk.Stack, environment: Environment, cluster: ecs.Cluster, definition: ecs.FargateTaskDefinition
) -> iam.Role:
    roles = [definition.task_role.role_arn, definition.obtain_execution_role().role_arn]
    names = environment.names
    # Of every revision: a schedule and its role change one after the other.
    tasks = f"arn:{names.partition}:ecs:{names.region}:{names.account}:task-definition/{names.name}-{PIPELINE}:*"
    role = iam.Role(
        stack,
        "SchedulerRole",
        description="Starts the pipeline at each tick",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
        ),
        inline_policies={
            "grants": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["ecs:RunTask"],
                        resources=[tasks],
                        conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
                    ),
                    iam.PolicyStatement(
                        actions=["iam:PassRole"],
                        resources=roles,
                        conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
                    ),
                ]
            )
        },
    )
    acknowledge(role, f"IAM5[Resource::{tasks}]", "Every revision of one task definition.")
    return role
