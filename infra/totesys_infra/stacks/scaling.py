"""Scales a service with its backlog."""

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from totesys_infra.alarms import Statistic
from totesys_infra.environment import Environment
from totesys_infra.metrics import Metric, running_tasks, waiting
from totesys_infra.names import Service

# Waiting messages per task above which tasks are added. A task works on a run for some seconds.
BACKLOG_PER_TASK = 2

_Policy = scaling.CfnScalingPolicy


def grow_with_backlog(
    scope: Construct, service: Service, environment: Environment, running: ecs.FargateService
) -> None:
    """Scale a service to its waiting messages, within the limits of the preset."""
    names, task = environment.names, environment.preset.tasks[service]
    target = scaling.CfnScalableTarget(
        scope,
        f"{service.title()}Scaling",
        service_namespace="ecs",
        scalable_dimension="ecs:service:DesiredCount",
        resource_id=f"service/{names.cluster}/{service}",
        min_capacity=task.minimum,
        max_capacity=task.maximum,
    )
    target.node.add_dependency(running)
    scaling.CfnScalingPolicy(
        scope,
        f"{service.title()}ByBacklog",
        policy_name=f"{names.name}-{service}-backlog",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=_Policy.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=BACKLOG_PER_TASK,
            scale_out_cooldown=60,
            scale_in_cooldown=300,
            customized_metric_specification=_Policy.CustomizedMetricSpecificationProperty(
                metrics=[
                    _metric("m1", waiting(names.queue(service)), "Average"),
                    _metric("m2", running_tasks(names, service), "SampleCount"),
                    _Policy.TargetTrackingMetricDataQueryProperty(
                        id="backlog",
                        label="Messages per task",
                        expression="m1 / IF(m2 > 0, m2, 1)",
                        return_data=True,
                    ),
                ]
            ),
        ),
    )


def _metric(key: str, of: Metric, statistic: Statistic) -> _Policy.TargetTrackingMetricDataQueryProperty:
    return _Policy.TargetTrackingMetricDataQueryProperty(
        id=key,
        # The period is a minute; a task sends one sample per minute.
        metric_stat=_Policy.TargetTrackingMetricStatProperty(
            metric=_Policy.TargetTrackingMetricProperty(
                namespace=of.namespace,
                metric_name=of.name,
                dimensions=[
                    _Policy.TargetTrackingMetricDimensionProperty(name=name, value=value)
                    for name, value in of.dimensions.items()
                ],
            ),
            stat=statistic,
        ),
        return_data=False,
    )
