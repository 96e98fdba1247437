"""The file that declares an environment, and in plain words what is wrong with it."""

import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from totesys.errors import SettingsError
from totesys_infra.environment import Environment

FOLDER = Path(__file__).parent.parent / "environments"

_ARN = "the ARN of a secret: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-AbCdEf"
_KEY = "the ARN of a KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID"
_RATE = "a schedule of EventBridge: rate(5 minutes), or cron(0 6 * * ? *)"
# What a setting is meant to be, in other words than its pattern.
_MEANT = {
    "name": "2 to 24 lower-case letters, digits and hyphens, in quotes",
    "account": "an account's number: 12 digits, in quotes",
    "region": "a region, such as eu-west-2",
    "alert_email": "an e-mail address",
    "certificate": "the ARN of a certificate: arn:aws:acm:REGION:ACCOUNT:certificate/ID",
    "github_repository": "owner/repository",
    "source": "a section, [source], with the ARN of its secret",
    "source.secret": _ARN,
    "source.secret_key": _KEY,
    "source.security_group": "the id of a security group: sg-0123456789abcdef0",
    "source.peering": "the id of a peering connection: pcx-0123456789abcdef0",
    "warehouse.secret_key": _KEY,
    "warehouse.secret": _ARN,
    "network.vpc": "the id of a VPC: vpc-0123456789abcdef0",
    "network.subnets": 'a list of ids of subnets: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]',
    "schedules.tick": "a rate of EventBridge of at most 10 minutes: rate(5 minutes)",
    "schedules.sweep": _RATE,
    "schedules.verify": _RATE,
}


def read_environment(path: Path) -> Environment:
    """The environment that a TOML file declares. Raises SettingsError that names each fault."""
    try:
        return Environment.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}. Copy infra/environments/example.toml, and name your copy."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}.") from error
    except ValidationError as error:
        faults = "".join(f"\n  {_said(fault)}" for fault in error.errors())
        raise SettingsError(
            f"{path} does not say what to deploy:{faults}\ninfra/environments/example.toml explains each line."
        ) from error


def _said(fault: ErrorDetails) -> str:
    where, given = ".".join(map(str, fault["loc"])), repr(fault["input"])
    # Of a list, all elements are meant to be the same.
    meant = _MEANT.get(".".join(part for part in fault["loc"] if isinstance(part, str)))
    match fault["type"]:
        case "missing":
            return f"{where} is missing" + (f": {meant}" if meant else "")
        case "extra_forbidden":
            return f"{where} is no setting; a typing error?"
        case "value_error":
            return str(fault["ctx"]["error"])
        case "model_type":
            return f"{where} = {given} is not {meant or f'a section, [{where}]'}"
        case _ if meant:
            return f"{where} = {given} is not {meant}"
        case "string_type":
            return f"{where} = {given} has to be a text, in quotes"
        case _:
            return f"{where} = {given}: {fault['msg'].replace('Input should', 'it has to', 1)}"
