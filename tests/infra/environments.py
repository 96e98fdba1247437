"""Environments that have each value of each option, and each preset, at least once."""

from typing import Any

from totesys_infra.environment import Environment

SECRET = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:totesys-{}-AbCdEf"
EXISTING_VPC = {"vpc": "vpc-0123456789abcdef0", "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]}
EXISTING_WAREHOUSE = {"secret": SECRET.format("warehouse")}


def environment(**options: Any) -> Environment:
    """An environment with these options, all else as it comes."""
    return Environment.model_validate(
        {
            "name": "totesys",
            "account": "123456789012",
            "region": "eu-west-2",
            "alert_email": "data@example.com",
            "source": {"secret": SECRET.format("source")},
        }
        | options
    )


ENVIRONMENTS: dict[str, Environment] = {
    "lean": environment(),
    "standard": environment(sizing="standard", http="alb", github_repository="owner/repository"),
    "high-availability": environment(sizing="high-availability", github_repository="owner/repository"),
    "endpoints": environment(sizing="standard", network={"egress": "endpoints"}, warehouse=EXISTING_WAREHOUSE),
    "existing-vpc": environment(network=EXISTING_VPC, http="alb"),
    "all-existing": environment(sizing="high-availability", network=EXISTING_VPC, warehouse=EXISTING_WAREHOUSE),
}
