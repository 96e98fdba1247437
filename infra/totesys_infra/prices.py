"""On-demand unit prices of us-east-1 in USD, with their sources. Check them: AWS changes prices."""

from dataclasses import dataclass

REGION = "us-east-1"
HOURS = 730  # of a month, by AWS's convention


@dataclass(frozen=True)
class Price:
    """The price of a unit. Without `source` and `as_of` it is from memory and unchecked."""

    usd: float
    unit: str
    source: str | None
    as_of: str | None


def _found(usd: float, unit: str, source: str, as_of: str) -> Price:
    return Price(usd, unit, f"https://{source}", as_of)


def _unchecked(usd: float, unit: str) -> Price:
    return Price(usd, unit, None, None)


_FARGATE = "fortem.dev/fargate-spot/"
_RDS = "infratally.com/articles/aws-rds-pricing-explained-2026.html"
_RDS_STORAGE = "www.usage.ai/blogs/aws/reserved-instances/rds/pricing-calculator/"
_NAT = "cloudburn.io/blog/aws-nat-gateway-pricing"
_WATCH = "www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/"
_ALB = "cloud-horizons.com/blog/alb-the-line-item-nobody-watches/"

FARGATE_VCPU = _found(0.03238, "vCPU hour, ARM64", _FARGATE, "2026-06")
FARGATE_GB = _found(0.00356, "GB hour, ARM64", _FARGATE, "2026-06")
# AWS discounts Spot by 50 to 70 %; this is the smaller discount.
SPOT_VCPU = _found(0.0162, "vCPU hour, ARM64 Spot", _FARGATE, "2026-06")
SPOT_GB = _found(0.00178, "GB hour, ARM64 Spot", _FARGATE, "2026-06")
RDS = {
    "t4g.micro": _found(0.016, "db.t4g.micro hour", _RDS, "2026"),
    "t4g.medium": _found(0.065, "db.t4g.medium hour", _RDS, "2026"),
    "m7g.large": _unchecked(0.168, "db.m7g.large hour"),
}
RDS_STORAGE = _found(0.115, "RDS gp3 GB-month", _RDS_STORAGE, "2026-06")
NAT = _found(0.045, "NAT gateway hour", _NAT, "2026-02")
NAT_GB = _found(0.045, "GB through a NAT gateway", _NAT, "2026-02")
ADDRESS = _found(0.005, "public IPv4 address hour", _NAT, "2026-02")
ENDPOINT = _found(0.01, "interface endpoint hour, per zone", "c3x.dev/resources/aws/aws_vpc_endpoint", "undated")
ENDPOINT_GB = _found(0.01, "GB through an interface endpoint", "c3x.dev/resources/aws/aws_vpc_endpoint", "undated")
S3_GB = _found(
    0.023, "S3 Standard GB-month", "kindatechnical.com/aws-codebuild/understanding-codebuild-pricing.html", "undated"
)
S3_WRITE = _found(
    0.005 / 1000,
    "S3 PUT or LIST request",
    "www.cloudkaramchari.com/blog/understanding-per-1000-put-copy-post-or-list-requests-in-amazon-s3-pricing/",
    "undated",
)
S3_READ = _unchecked(0.0004 / 1000, "S3 GET request")
SQS = _found(0.40 / 1_000_000, "SQS request", "cloudburn.io/blog/amazon-sqs-pricing", "2026-03")
LOGS_GB = _found(0.50, "GB of logs ingested", _WATCH, "2026-06")
METRIC = _found(0.30, "custom metric, a month", "signoz.io/guides/cloudwatch-pricing", "2026-02")
ALARM = _unchecked(0.10, "alarm on one metric, a month")
DASHBOARD = _found(3.00, "dashboard, a month", _WATCH, "2026-06")
KEY = _found(1.00, "KMS key, a month", "cloudburn.io/blog/aws-kms-pricing", "2026-03")
SECRET = _found(
    0.40,
    "secret, a month",
    "hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
    "undated",
)
ECR_GB = _found(0.10, "ECR GB-month", "cloudburn.io/blog/amazon-ecr-pricing", "2026-03")
# The x86 price; ARM64 costs less.
BUILD_MINUTE = _found(
    0.005,
    "CodeBuild minute, small instance",
    "hivebook.wiki/wiki/aws-codebuild-managed-build-service",
    "2026-05",
)
BALANCER = _found(0.0225, "ALB hour", _ALB, "2026-05")
BALANCER_UNIT = _found(0.008, "ALB capacity unit (LCU) hour", _ALB, "2026-05")
ZONE = _unchecked(0.50, "private DNS zone, a month")

ALL = (
    *(FARGATE_VCPU, FARGATE_GB, SPOT_VCPU, SPOT_GB, *RDS.values(), RDS_STORAGE),
    *(ADDRESS, NAT, NAT_GB, ENDPOINT, ENDPOINT_GB, S3_GB, S3_WRITE, S3_READ, SQS),
    *(LOGS_GB, METRIC, ALARM, DASHBOARD, KEY, SECRET, ECR_GB, BUILD_MINUTE, ZONE, BALANCER, BALANCER_UNIT),
)
