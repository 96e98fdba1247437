"""The CDK's own command, on the emulator."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.compose.stack import PROJECT
from tests.deployment.bridge import Bridge
from tests.deployment.rehearsal import ACCOUNT, Rehearsal, rehearsal
from tests.deployment.releases import Release
from totesys_cli.local.emulator_access import REGION
from totesys_infra.deploy.cloudformation import describe
from totesys_infra.names import STACKS

FIRST = Release("first")


class Cdk:
    """`cdk` for an environment, from the project's folder."""

    def __init__(self, place: Rehearsal, bridge: Bridge, folder: Path) -> None:
        self.out = folder / "cdk.out"
        self._file = folder / "environment.toml"
        self._file.write_text(_toml(place))
        self._settings = {
            "AWS_ENDPOINT_URL": bridge.endpoint,
            "AWS_ACCESS_KEY_ID": "LOCAL",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "HOME": str(folder),
        }

    def __call__(self, *arguments: str, image: Release) -> str:
        """What it prints; it has to succeed."""
        app = f"{sys.executable} -m tests.deployment.adapted_app"
        context = [f"environment={self._file}", f"image={image.commit.revision}"]
        given = [part for one in context for part in ("--context", one)]
        command = str(PROJECT / ".cdk/node_modules/.bin/cdk")
        call = [command, *arguments, "--app", app, "--output", str(self.out), *given]
        settings = {**os.environ, **self._settings}
        done = subprocess.run(call, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)
        printed = f"{done.stdout}{done.stderr}"
        assert done.returncode == 0, printed
        return printed


def _toml(place: Rehearsal) -> str:
    declared = place.environment.model_dump(exclude_defaults=True, mode="json")
    sections = {key: one for key, one in declared.items() if isinstance(one, dict)}
    lines = [f"{key} = {json.dumps(one)}" for key, one in declared.items() if key not in sections]
    for key, section in sections.items():
        lines += [f"[{key}]", *(f"{name} = {json.dumps(one)}" for name, one in section.items())]
    return "\n".join(lines)


def test_the_cdk_command_deploys_the_stacks_with_the_same_parameters(on_bridge: Bridge, tmp_path: Path) -> None:
    with rehearsal(on_bridge, tmp_path, "lean", own_warehouse=True, name="cdk") as place:
        FIRST.tag_images(place.deployment.names)
        cdk = Cdk(place, on_bridge, tmp_path)
        cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", image=FIRST)
        names = place.deployment.names
        # Without the lake: as YAML its template has more than 51,200 bytes. The command passes such a template in a
        # bucket, by an address of AWS that the emulator does not serve.
        stacks = [names.stack(of) for of in STACKS if of != "lake"]
        cdk("deploy", *stacks, "--require-approval", "never", "--no-previous-parameters", image=FIRST)
        for template in place.templates(FIRST):
            if template.name not in stacks:
                continue
            stack = describe(place.deployment, template.name)
            assert stack is not None
            assert stack["StackStatus"] == "CREATE_COMPLETE"
            given = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
            hidden = {name for name, value in given.items() if value == "****"}
            assert hidden <= {"AlertHttps"}
            assert {**given, **{name: template.parameters[name] for name in hidden}} == template.parameters
