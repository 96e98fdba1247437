"""Reads the file that declares an environment, and describes its faults."""

import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from totesys.errors import SettingsError
from totesys_infra.environment import Environment

FOLDER = Path(__file__).parent.parent / "environments"

_ARN = (
    "the ARN of a secret or an SSM parameter: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-AbCdEf, or "
    "arn:aws:ssm:REGION:ACCOUNT:parameter/NAME"
)
_KEY = "the ARN of a KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID"
_RATE = "an EventBridge schedule: rate(5 minutes), or cron(0 6 * * ? *)"
# The expected value of each setting, in words.
_EXPECTED = {
    "name": "2 to 24 lower-case letters, digits and hyphens, in quotes",
    "account": "an account number: 12 digits, in quotes",
    "region": "a region, such as eu-west-2",
    "alert_email": "an e-mail address",
    "alert_https": "an address that begins with https://",
    "model": "the name of a Python module, such as examples.rentals",
    "certificate": "the ARN of a certificate: arn:aws:acm:REGION:ACCOUNT:certificate/ID",
    "github_repository": "owner/repository",
    "source": "a section, [source], with the ARN of its secret",
    "source.secret": _ARN,
    "source.secret_key": _KEY,
    "source.login": _ARN,
    "source.login_key": _KEY,
    "source.security_group": "the id of a security group: sg-0123456789abcdef0",
    "source.peering": "the id of a peering connection: pcx-0123456789abcdef0",
    "warehouse.secret_key": _KEY,
    "warehouse.secret": _ARN,
    "warehouse.login": _ARN,
    "warehouse.login_key": _KEY,
    "network.vpc": "the id of a VPC: vpc-0123456789abcdef0",
    "network.subnets": 'a list of ids of subnets: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]',
    "schedules.tick": "an EventBridge rate of at most an hour: rate(5 minutes)",
    "schedules.sweep": _RATE,
    "schedules.verify": _RATE,
}


def read_environment(path: Path) -> Environment:
    """The environment that a TOML file declares. Raises SettingsError with every fault."""
    try:
        return Environment.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}. Pass the path of your copy of infra/environments/example.toml."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        faults = "".join(f"\n  {_message(fault)}" for fault in error.errors())
        raise SettingsError(
            f"{path} is not a valid environment:{faults}\ninfra/environments/example.toml explains each line."
        ) from error


def _message(fault: ErrorDetails) -> str:
    where, given = ".".join(map(str, fault["loc"])), repr(fault["input"])
    # All elements of a list are alike.
    expected = _EXPECTED.get(".".join(part for part in fault["loc"] if isinstance(part, str)))
    match fault["type"]:
        case "missing":
            return f"{where} is missing" + (f": {expected}" if expected else "")
        case "extra_forbidden":
            return f"{where} is not a setting. Is it misspelled?"
        case "value_error":
            return str(fault["ctx"]["error"])
        case "model_type":
            return f"{where} = {given} is not {expected or f'a section, [{where}]'}"
        case _ if expected:
            return f"{where} = {given} is not {expected}"
        case "string_type":
            return f"{where} = {given} has to be a string, in quotes"
        case _:
            return f"{where} = {given}: {fault['msg'].replace('Input should', 'it has to', 1)}"
