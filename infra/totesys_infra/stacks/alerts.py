"""The topic of the alerts, its KMS key, and its e-mail subscription."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

# The senders: alarms, the budget, and the rules for ECS events.
EVENTS = "events.amazonaws.com"
OF_THIS_ACCOUNT = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")
PUBLISHERS = (*OF_THIS_ACCOUNT, EVENTS)


def add_alerts(stack: cdk.Stack) -> sns.Topic:
    """The topic `${Name}-alerts`, to which the address in the parameter `AlertEmail` is subscribed."""
    topic = sns.Topic(
        stack, "Alerts", topic_name=cdk.Fn.sub("${Name}-alerts"), master_key=_key(stack), enforce_ssl=True
    )
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sns:Publish"],
            principals=[iam.ServicePrincipal(service) for service in OF_THIS_ACCOUNT],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
        )
    )
    # EventBridge sets none of the condition keys.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sns:Publish"], principals=[iam.ServicePrincipal(EVENTS)], resources=[topic.topic_arn]
        )
    )
    _subscribe(stack, topic)
    return topic


def _key(stack: cdk.Stack) -> kms.Key:
    # Alarms cannot publish under AWS's own SNS key, because its policy cannot be extended.
    key = kms.Key(
        stack,
        "AlertsKey",
        description=cdk.Fn.sub("Encrypts the alerts of ${Name}"),
        enable_key_rotation=True,
        pending_window=cdk.Duration.days(7),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["kms:GenerateDataKey*", "kms:Decrypt"],
            principals=[iam.ServicePrincipal(service) for service in PUBLISHERS],
            resources=["*"],
        )
    )
    return key


def _subscribe(stack: cdk.Stack, topic: sns.Topic) -> None:
    address = cdk.CfnParameter(stack, "AlertEmail", default="", description="Address for alarm e-mails; empty for none")
    somebody = cdk.Fn.condition_not(cdk.Fn.condition_equals(address.value_as_string, ""))
    subscription = sns.CfnSubscription(
        stack, "AlertsByEmail", protocol="email", topic_arn=topic.topic_arn, endpoint=address.value_as_string
    )
    subscription.cfn_options.condition = cdk.CfnCondition(stack, "HasAlertEmail", expression=somebody)
