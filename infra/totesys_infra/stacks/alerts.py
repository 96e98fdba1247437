"""The topic of the alerts, its optional KMS key, and its subscriptions."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

# The senders: alarms, the budget, and the rules for ECS events.
EVENTS = "events.amazonaws.com"
OF_THIS_ACCOUNT = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")
KEY_PARAMETER = "EncryptAlerts"
PUBLISHERS = (*OF_THIS_ACCOUNT, EVENTS)


def add_alerts(stack: cdk.Stack) -> sns.Topic:
    """The topic `${Name}-alerts`, to which the addresses in `AlertEmail` and `AlertHttps` are subscribed."""
    topic = sns.Topic(stack, "Alerts", topic_name=cdk.Fn.sub("${Name}-alerts"), enforce_ssl=True)
    _encrypt(stack, topic)
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
    _subscribe(stack, topic, "email", "Address for alarm e-mails")
    _subscribe(stack, topic, "https", "HTTPS address that takes alarms from SNS")
    return topic


def _encrypt(stack: cdk.Stack, topic: sns.Topic) -> None:
    """Encrypt the topic under a key of its own, if the parameter `EncryptAlerts` says so: a key costs 1 USD a month.

    SNS encrypts the disks of a topic without a key.
    """
    wanted = cdk.CfnParameter(
        stack, KEY_PARAMETER, default="true", allowed_values=["true", "false"], description="Whether alerts have a key"
    )
    condition = cdk.CfnCondition(
        stack, "HasAlertsKey", expression=cdk.Fn.condition_equals(wanted.value_as_string, "true")
    )
    key = _key(stack)
    key_resource, topic_resource = key.node.default_child, topic.node.default_child
    assert isinstance(key_resource, kms.CfnKey)
    assert isinstance(topic_resource, sns.CfnTopic)
    key_resource.cfn_options.condition = condition
    chosen = cdk.Fn.condition_if(condition.logical_id, key.key_arn, cdk.Fn.ref("AWS::NoValue"))
    topic_resource.kms_master_key_id = cdk.Token.as_string(chosen)


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


def _subscribe(stack: cdk.Stack, topic: sns.Topic, protocol: str, description: str) -> None:
    """Subscribe the address in a parameter, if it has one."""
    name = protocol.title()
    address = cdk.CfnParameter(
        stack,
        f"Alert{name}",
        default="",
        description=f"{description}; empty for none",
        # The address may hold a key.
        no_echo=True if protocol == "https" else None,
    )
    given = cdk.Fn.condition_not(cdk.Fn.condition_equals(address.value_as_string, ""))
    subscription = sns.CfnSubscription(
        stack, f"AlertsBy{name}", protocol=protocol, topic_arn=topic.topic_arn, endpoint=address.value_as_string
    )
    subscription.cfn_options.condition = cdk.CfnCondition(stack, f"HasAlert{name}", expression=given)
