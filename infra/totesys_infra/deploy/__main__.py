"""`python -m totesys_infra.deploy up|diff|smoke|rollback|down|access FILE.toml`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from totesys.errors import TotesysError
from totesys_infra.deploy.bundle import commit
from totesys_infra.deploy.checks import check_account, check_all
from totesys_infra.deploy.clients import AwsClients, aws_errors
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.destroy import destroy
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.deploy.order import apply, show, synthesise
from totesys_infra.deploy.service_roles import create_absent
from totesys_infra.deploy.smoke import Smoke
from totesys_infra.deploy.template import StackTemplate
from totesys_infra.deploy.up import roll_back, up
from totesys_infra.environment_file import read_environment

ROOT = Path(__file__).parents[3]
_FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        with aws_errors():
            _do(arguments)
    except TotesysError as error:
        print(f"{error.title}: {error}", file=sys.stderr)
        return _FAILED
    return 0


def _do(arguments: argparse.Namespace) -> None:
    environment = read_environment(arguments.file)
    deployment = Deployment(environment, AwsClients(environment.region), lambda text: print(text, flush=True))
    match arguments.verb:
        case "up":
            head = commit(ROOT)
            check_all(deployment)
            deployment.report(f"{environment.name}: {head.version} ({head.revision}) to {environment.region}")
            chosen = _chosen(_templates(deployment, head.revision), arguments.only)
            up(deployment, chosen, head, accept_data_loss=arguments.accept_data_loss)
        case "diff":
            head = commit(ROOT)
            check_all(deployment)
            show(deployment, _chosen(_templates(deployment, head.revision), arguments.only))
        case "access":
            check_account(deployment)
            _deploy_access(deployment)
        case "smoke":
            check_account(deployment)
            Smoke(deployment).run()
        case "rollback":
            check_account(deployment)
            running = [one.name for one in _templates(deployment, "any") if one.takes_images]
            roll_back(deployment, running, arguments.to)
        case "down":
            check_account(deployment)
            if arguments.delete_data:
                _confirm(environment.name)
            names = [template.name for template in _templates(deployment, "any")]
            destroy(deployment, names, delete_data=arguments.delete_data)


def _templates(deployment: Deployment, image_tag: str) -> list[StackTemplate]:
    """All stacks except the access stack, which only an administrator deploys."""
    found = synthesise(deployment.environment, image_tag, ROOT / "cdk.out")
    return [template for template in found if template.name != deployment.names.stack("access")]


def _deploy_access(deployment: Deployment) -> None:
    if deployment.environment.github_repository is None:
        raise DeployRefused("The file sets no github_repository, so there is no workflow that needs access.")
    found = synthesise(deployment.environment, "any", ROOT / "cdk.out")
    (template,) = (one for one in found if one.name == deployment.names.stack("access"))
    if deployment.environment.github_repository_id is None:
        deployment.report(
            "The role accepts tokens that name the repository without its id. Set github_owner_id and "
            "github_repository_id if the repository was created, renamed or transferred since 2026-07-15."
        )
    show(deployment, [template])
    # With the caller's permissions, because this stack creates the execution role.
    apply(Deployment(deployment.environment, deployment.aws, deployment.report, as_caller=True), template)
    create_absent(deployment)


def _chosen(templates: list[StackTemplate], only: Sequence[str] | None) -> list[StackTemplate]:
    if not only:
        return templates
    unknown = set(only) - {template.name for template in templates}
    if unknown:
        known = ", ".join(template.name for template in templates)
        raise DeployRefused(f"Unknown stack: {', '.join(sorted(unknown))}. The stacks are: {known}.")
    return [template for template in templates if template.name in only]


def _confirm(name: str) -> None:
    print(
        f"This deletes every object of the lake {name}, its queues, and the warehouse that the stacks created, with "
        "its snapshots. It cannot be undone.",
        flush=True,
    )
    try:
        typed = input(f"Type {name} to continue: ")
    except EOFError:
        typed = ""
    if typed != name:
        raise DeployRefused("The name does not match. Nothing was deleted.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m totesys_infra.deploy", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    texts = {
        "up": "deploy HEAD: all stacks, the images, and a smoke test",
        "diff": "show what `up` would change",
        "smoke": "run the smoke test on the deployed release",
        "rollback": "return to an earlier release",
        "down": "remove everything that can be recreated",
        "access": "create the roles of the GitHub workflow (administrators only)",
    }
    for verb, text in texts.items():
        of = verbs.add_parser(verb, help=text, description=text)
        of.add_argument("file", type=Path, metavar="FILE.toml", help="the environment")
        if verb in ("up", "diff"):
            of.add_argument("--only", action="append", metavar="STACK", help="only this stack; may be repeated")
        if verb == "up":
            of.add_argument(
                "--accept-data-loss", action="store_true", help="allow changes that delete or replace stored data"
            )
        if verb == "rollback":
            of.add_argument("--to", metavar="REVISION", help="the release; by default the previous one")
        if verb == "down":
            of.add_argument("--delete-data", action="store_true", help="also delete the data, after a confirmation")
    return parser


if __name__ == "__main__":
    sys.exit(main())
