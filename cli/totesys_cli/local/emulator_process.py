"""The emulator's process behind its gate: `python -m totesys_cli.local.emulator_process`.

Its settings are the emulator's own environment variables; its credentials are those that AWS clients read.
"""

import json
import os
from configparser import ConfigParser
from functools import cache

import totesys_infra
from totesys_cli.local.emulator_access import SERVICES, Credentials
from totesys_cli.local.gate import Gate


def main() -> None:
    """Serve until SIGTERM."""
    credentials = _credentials()
    # Only this user may read what it writes.
    os.umask(0o077)
    services = os.environ.setdefault("SERVICES", ",".join(SERVICES)).split(",")
    from ministack import app

    # Where functions are served, templates may create them too.
    limited = set(services) <= set(SERVICES)
    app.app = Gate(app.app, credentials, services, _limit if limited else lambda _: None)
    app.main()


def _credentials() -> Credentials:
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    file = ConfigParser(interpolation=None)
    with open(os.environ["AWS_SHARED_CREDENTIALS_FILE"], encoding="utf-8") as lines:  # noqa: PTH123 - imports little
        file.read_file(lines)
    return Credentials(file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


def _limit(service: str) -> None:
    if service == "cloudformation":
        _limit_templates()


@cache
def _limit_templates() -> None:
    """Let templates create only the data plane's types of resources: a function would run as this user."""
    from ministack.services.cloudformation import provisioners

    resources = json.loads(totesys_infra.data_plane_template())["Resources"].values()
    needed = {resource["Type"] for resource in resources}
    for kind in provisioners._RESOURCE_HANDLERS.keys() - needed:
        del provisioners._RESOURCE_HANDLERS[kind]


if __name__ == "__main__":
    main()
