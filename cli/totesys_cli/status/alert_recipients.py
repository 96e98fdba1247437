"""Whether the alarms of an environment on AWS reach anybody."""

import asyncio
import os

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from totesys_cli.options import DataPlaneLocation

_CONFIG = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})
# In the place of the ARN of a subscription whose recipient has not followed the link in AWS's e-mail.
_PENDING = "PendingConfirmation"


async def has_alert_recipient(location: DataPlaneLocation) -> bool | None:
    """Whether a subscription of the alarms' topic is confirmed.

    None if that is unknown: local stacks have no alarms, and the right `sns:ListSubscriptions` may be missing.
    """
    if location.endpoint is not None or os.environ.get("AWS_ENDPOINT_URL"):
        return None
    return await asyncio.to_thread(_look_up, location.name)


def _look_up(name: str) -> bool | None:
    try:
        sns = boto3.Session().client("sns", config=_CONFIG)
        pages = sns.get_paginator("list_subscriptions").paginate()
        found = [one for page in pages for one in page["Subscriptions"]]
    except (BotoCoreError, ClientError):
        return None
    return is_confirmed(name, [(one["TopicArn"], one["SubscriptionArn"]) for one in found])


def is_confirmed(name: str, subscriptions: list[tuple[str, str]]) -> bool:
    """Whether one of these pairs of topic and subscription is a confirmed one of the environment. Pure."""
    topic = f":{name}-alerts"
    return any(of.endswith(topic) and subscription != _PENDING for of, subscription in subscriptions)
