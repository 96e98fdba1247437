"""The CDK app. `cdk.json` names it as the app of the CDK's own command."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from totesys.errors import TotesysError
from totesys.model import MODEL
from totesys_infra.deploy.bundle import head
from totesys_infra.deploy.template import values
from totesys_infra.environment import Environment
from totesys_infra.environment_file import read_environment
from totesys_infra.stacks.access_stack import AccessStack
from totesys_infra.stacks.data_plane_stack import DataPlaneStack
from totesys_infra.stacks.images_stack import ImagesStack
from totesys_infra.stacks.lake_stack import LakeStack
from totesys_infra.stacks.monitoring_stack import MonitoringStack
from totesys_infra.stacks.network_stack import NetworkStack
from totesys_infra.stacks.services_stack import ServicesStack
from totesys_infra.stacks.tags import tag
from totesys_infra.stacks.warehouse_stack import WarehouseStack

# The tests and `make deploy` do not read cdk.json.
CONTEXT = {
    # cfn-lint rejects the intrinsics of the default, "both".
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    # Restricting the default security group would add a Lambda function with an asset.
    "@aws-cdk/aws-ec2:restrictDefaultSecurityGroup": False,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:enable-asset-metadata": False,
    "aws:cdk:version-reporting": False,
}

_BOUNDARY = "@aws-cdk/core:permissionsBoundary"


def new_app(folder: Path, boundary: str | None = None) -> cdk.App:
    """An app that writes plain CloudFormation into `folder`, without bootstrap, assets or metadata.

    `boundary` is the managed policy that is the permissions boundary of its roles.
    """
    bound: dict[str, Any] = {} if boundary is None else {_BOUNDARY: {"name": boundary}}
    return cdk.App(
        outdir=str(folder),
        context=CONTEXT | bound,
        analytics_reporting=False,
        tree_metadata=False,
        default_stack_synthesizer=cdk.BootstraplessSynthesizer(),
        # It takes 40 s here; `make test-infra` checks the same rules in one.
        builtin_cloud_formation_validation=False,
    )


def build(environment: Environment, folder: Path) -> cdk.App:
    """The app with the stacks of an environment; `synth()` writes them into `folder`."""
    names = environment.names
    app = new_app(folder, names.boundary if environment.github_repository else None)
    if environment.github_repository is not None:
        AccessStack(app, names.stack("access"), environment, environment.github_repository)
    data_plane = DataPlaneStack(app, names.stack("data-plane"), environment.declared)
    network = NetworkStack(app, names.stack("network"), environment)
    images = ImagesStack(app, names.stack("build"), environment)
    warehouse = None
    if environment.warehouse.secret is None:
        warehouse = WarehouseStack(app, names.stack("warehouse"), environment, network)
    services = ServicesStack(app, names.stack("services"), environment, network, warehouse)
    watching = MonitoringStack(app, names.stack("watching"), environment)
    lake = LakeStack(app, names.stack("lake"), environment)
    # Names connect most stacks, so the CDK sees no references between them.
    order = (data_plane, network, images, warehouse, services, watching, lake)
    for before, after in pairwise(stack for stack in order if stack is not None):
        after.add_stack_dependency(before)
    for stack in app.node.children:
        # The data plane's template is the same for every environment, and takes the name from its parameter.
        if not isinstance(stack, DataPlaneStack):
            tag(stack, environment.name)
    return app


def in_order(app: cdk.App) -> dict[str, dict[str, Any]]:
    """The templates of an app by stack name, in the order of creation."""
    assembly = app.synth()
    # The assembly orders independent stacks by name.
    names = [stack.stack_name for stack in app.node.children if isinstance(stack, cdk.Stack)]
    return {name: assembly.get_stack_by_name(name).template for name in names}


def synthesise(environment: Environment) -> dict[str, dict[str, Any]]:
    """The templates of an environment by stack name, in the order of deployment."""
    with tempfile.TemporaryDirectory(prefix="totesys-cdk-") as folder:
        return in_order(build(environment, Path(folder)))


def data_plane() -> dict[str, Any]:
    """The data plane's template, the same for every environment."""
    with tempfile.TemporaryDirectory(prefix="totesys-cdk-") as folder:
        app = new_app(Path(folder))
        DataPlaneStack(app, "DataPlaneStack", MODEL)
        template: dict[str, Any] = app.synth().get_stack_by_name("DataPlaneStack").template
    return template


def render(template: dict[str, Any]) -> str:
    """A template as committed text."""
    return json.dumps(template, indent=2) + "\n"


def set_defaults(app: cdk.App, known: Mapping[str, str]) -> None:
    """Make these the defaults of the stacks' parameters: the CDK's command sets none by itself."""
    for construct in app.node.find_all():
        if isinstance(construct, cdk.CfnParameter):
            construct.default = known[construct.node.id]


def main() -> None:
    """Write the assembly of the environment in the context, for the CDK's command.

    The command passes its context and the folder in environment variables.
    """
    context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    if "environment" not in context:
        sys.exit("Pass the environment: --context environment=infra/environments/NAME.toml")
    try:
        environment = read_environment(Path(context["environment"]))
        revision = context.get("image") or head(Path.cwd())
    except TotesysError as error:
        sys.exit(f"{error.title}: {error}")
    app = build(environment, Path(os.environ["CDK_OUTDIR"]))
    set_defaults(app, values(environment, revision))
    app.synth()


if __name__ == "__main__":
    main()
