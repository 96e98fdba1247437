"""The topic that alarms send to, the key that encrypts what they say, and who reads it."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

# Alarms, what happens to tasks and deployments, and the budget.
EVENTS = "events.amazonaws.com"
OF_THIS_ACCOUNT = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")
PUBLISHERS = (*OF_THIS_ACCOUNT, EVENTS)


def add_alerts(stack: cdk.Stack) -> sns.Topic:
    """The topic `${Name}-alerts`; the address that parameter `AlertEmail` names is subscribed, if any."""
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
    # EventBridge sends none of the keys that a condition could ask for.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sns:Publish"], principals=[iam.ServicePrincipal(EVENTS)], resources=[topic.topic_arn]
        )
    )
    _subscribe(stack, topic)
    return topic


def _key(stack: cdk.Stack) -> kms.Key:
    # Under the key that AWS keeps for SNS, alarms could not publish: its policy can't be extended.
    key = kms.Key(
        stack,
        "AlertsKey",
        description=cdk.Fn.sub("Encrypts what ${Name} sends to its topic of alerts"),
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
    address = cdk.CfnParameter(
        stack, "AlertEmail", default="", description="Who gets an e-mail for each alarm; empty: nobody"
    )
    somebody = cdk.Fn.condition_not(cdk.Fn.condition_equals(address.value_as_string, ""))
    subscription = sns.CfnSubscription(
        stack, "AlertsByEmail", protocol="email", topic_arn=topic.topic_arn, endpoint=address.value_as_string
    )
    subscription.cfn_options.condition = cdk.CfnCondition(stack, "HasAlertEmail", expression=somebody)
