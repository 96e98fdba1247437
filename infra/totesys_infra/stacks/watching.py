"""Watching: alarms and events that end as an e-mail, a budget, and a dashboard."""

import json

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as eventbridge
from aws_cdk import aws_logs as logs
from constructs import Construct

from totesys_infra.alarms import Alarm, alarms
from totesys_infra.dashboard import dashboard
from totesys_infra.environment import Environment
from totesys_infra.events import Event, events
from totesys_infra.metrics import ERROR_LINES
from totesys_infra.names import APP, SERVICES, TAG_APP, TAG_ENVIRONMENT, Service

# In percent of the monthly budget: what was spent, and what is foreseen for the whole month.
SPENT, FORESEEN = 80, 100


class WatchingStack(cdk.Stack):
    """All that sends to the topic of alerts, and the dashboard."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment) -> None:
        super().__init__(scope, construct_id, description=f"{environment.name}: its alarms", analytics_reporting=False)
        self._environment = environment
        self._names = environment.names
        for service in SERVICES:
            self._count_errors(service)
        for alarm in alarms(environment):
            self._alarm(alarm)
        for event in events(self._names):
            self._rule(event)
        self._budget()
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
        logs.CfnMetricFilter(
            self,
            f"{service.title()}ErrorLines",
            log_group_name=self._names.log_group(service),
            filter_name=f"{self._names.name}-{service}-errors",
            filter_pattern='{ $.level = "error" }',
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=self._names.metrics_namespace,
                    metric_name=ERROR_LINES,
                    metric_value="1",
                    unit="Count",
                    dimensions=[logs.CfnMetricFilter.DimensionProperty(key="service", value="$.service")],
                )
            ],
        )

    def _alarm(self, alarm: Alarm) -> None:
        metric = alarm.metric
        cloudwatch.CfnAlarm(
            self,
            "".join(word.title() for word in alarm.name.split("-")),
            alarm_name=f"{self._names.name}-{alarm.name}",
            alarm_description=self._said(alarm),
            namespace=metric.namespace,
            metric_name=metric.name,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value)
                for name, value in metric.dimensions.items()
            ],
            # The services' metrics have the unit that they say; a wrong one would match nothing.
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

    def _rule(self, event: Event) -> None:
        eventbridge.CfnRule(
            self,
            "".join(word.title() for word in event.name.split("-")),
            name=f"{self._names.name}-{event.name}",
            description=self._said(event),
            event_pattern=event.pattern,
            targets=[
                eventbridge.CfnRule.TargetProperty(
                    arn=self._names.alerts_arn,
                    id="alerts",
                    input_transformer=eventbridge.CfnRule.InputTransformerProperty(
                        input_paths_map={"resource": "$.resources[0]", "time": "$.time"},
                        input_template=json.dumps(f"{self._names.name}, <time>: <resource>. {self._said(event)}"),
                    ),
                )
            ],
        )

    def _said(self, one: Alarm | Event) -> str:
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
                # Once the account has activated the tag for cost allocation; until then this counts nothing.
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
                for kind, percent in (("ACTUAL", SPENT), ("FORECASTED", FORESEEN))
            ],
        )
