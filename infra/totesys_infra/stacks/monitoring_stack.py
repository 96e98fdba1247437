"""Monitoring: the alarms, events and budget that send e-mails, and the dashboard."""

import json

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as eventbridge
from aws_cdk import aws_logs as logs
from constructs import Construct

from totesys_infra.alarms import Alarm, alarms
from totesys_infra.dashboard import dashboard
from totesys_infra.ecs_events import EcsEvent, ecs_events
from totesys_infra.environment import Environment
from totesys_infra.metrics import ERROR_LINES
from totesys_infra.names import APP, SERVICES, TAG_APP, TAG_ENVIRONMENT, Service

# The notifications of the budget, in percent: of the actual cost, and of the forecast for the month.
ACTUAL, FORECAST = 80, 100
ATTENTION = '{ ($.level = "error") || ($.event = "rows_quarantined") }'


class MonitoringStack(cdk.Stack):
    """Everything that sends to the topic of alerts, and the dashboard."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment) -> None:
        super().__init__(scope, construct_id, description=f"{environment.name}: its alarms", analytics_reporting=False)
        self._environment = environment
        self._names = environment.names
        for service in SERVICES:
            self._count_errors(service)
        for alarm in alarms(environment):
            self._alarm(alarm)
        for event in ecs_events(environment):
            self._rule(event)
        self._budget()
        if not environment.preset.frugal:
            cloudwatch.CfnDashboard(
                self, "Dashboard", dashboard_name=self._names.name, dashboard_body=json.dumps(dashboard(environment))
            )
        cdk.CfnOutput(
            self,
            "BudgetTagOutput",
            value=TAG_ENVIRONMENT,
            description="Activate this tag in Billing, Cost allocation tags: until then the budget counts nothing",
        ).override_logical_id("BudgetTag")

    def _count_errors(self, service: Service) -> None:
        # CloudWatch bills each combination of dimensions.
        is_one = self._environment.preset.frugal
        logs.CfnMetricFilter(
            self,
            f"{service.title()}ErrorLines",
            log_group_name=self._names.log_group(service),
            filter_name=f"{self._names.name}-{service}-errors",
            filter_pattern=ATTENTION if is_one else '{ $.level = "error" }',
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=self._names.metrics_namespace,
                    metric_name=ERROR_LINES,
                    metric_value="1",
                    unit="Count",
                    dimensions=None
                    if is_one
                    else [logs.CfnMetricFilter.DimensionProperty(key="service", value="$.service")],
                )
            ],
        )

    def _alarm(self, alarm: Alarm) -> None:
        metric = alarm.metric
        cloudwatch.CfnAlarm(
            self,
            "".join(word.title() for word in alarm.name.split("-")),
            alarm_name=f"{self._names.name}-{alarm.name}",
            alarm_description=self._text(alarm),
            namespace=metric.namespace,
            metric_name=metric.name,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value)
                for name, value in metric.dimensions.items()
            ],
            # The unit has to equal the one that the services declare, or nothing matches.
            unit=metric.unit if metric.namespace == self._names.metrics_namespace else None,
            statistic=alarm.statistic,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            threshold=alarm.threshold,
            comparison_operator=alarm.comparison,
            treat_missing_data=alarm.missing,
            alarm_actions=[self._names.alerts_arn],
            ok_actions=[self._names.alerts_arn],
        )

    def _rule(self, event: EcsEvent) -> None:
        eventbridge.CfnRule(
            self,
            "".join(word.title() for word in event.name.split("-")),
            name=f"{self._names.name}-{event.name}",
            description=self._text(event),
            event_pattern=event.pattern,
            targets=[
                eventbridge.CfnRule.TargetProperty(
                    arn=self._names.alerts_arn,
                    id="alerts",
                    input_transformer=eventbridge.CfnRule.InputTransformerProperty(
                        input_paths_map={"resource": "$.resources[0]", "time": "$.time"},
                        input_template=json.dumps(f"{self._names.name}, <time>: <resource>. {self._text(event)}"),
                    ),
                )
            ],
        )

    def _text(self, one: Alarm | EcsEvent) -> str:
        return f"{one.description} {one.remedy} {self._environment.runbook}#{one.section}"

    def _budget(self) -> None:
        topic = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self._names.alerts_arn)
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self._names.name}-month",
                budget_type="COST",
                time_unit="MONTHLY",
                # Until the account activates the tag for cost allocation, this counts nothing.
                cost_filters={"TagKeyValue": [f"user:{TAG_ENVIRONMENT}${self._names.name}"]},
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self._environment.monthly_budget_usd, unit="USD"),
            ),
            resource_tags=[
                budgets.CfnBudget.ResourceTagProperty(key=key, value=value)
                for key, value in ((TAG_APP, APP), (TAG_ENVIRONMENT, self._names.name))
            ],
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[topic],
                )
                for kind, percent in (("ACTUAL", ACTUAL), ("FORECASTED", FORECAST))
            ],
        )
