"""The images of a commit, built with Docker on this machine and pushed to the repositories."""

import base64
import io
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence

from totesys_infra.deploy import bundle
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import BuildFailed
from totesys_infra.names import PYTHON_IMAGE, Image

# The tasks run on ARM64, and pull a plain image.
_BUILD = ("build", "--platform", "linux/arm64", "--provenance=false", "--file", "services/Dockerfile")
_LAST_LINES = 30


def build(deployment: Deployment, commit: Commit, services: Sequence[Image]) -> None:
    """Build and push the images of these services. Raises BuildFailed with Docker's last lines."""
    registry = _log_in(deployment)
    with tempfile.TemporaryDirectory(prefix="totesys-build-") as folder:
        zipfile.ZipFile(io.BytesIO(bundle.archive(commit))).extractall(folder)
        for service in services:
            image = f"{registry}/{deployment.names.repository(service)}:{commit.revision}"
            given = {"PYTHON_IMAGE": PYTHON_IMAGE, "SERVICE": service, "VERSION": commit.version}
            given["MODEL"] = deployment.environment.model
            arguments = [f"--build-arg={key}={text}" for key, text in {**given, "REVISION": commit.revision}.items()]
            deployment.report(f"  docker build and push: {image}")
            _docker([*_BUILD, *arguments, "--tag", image, "."], folder)
            _docker(["push", "--quiet", image], folder)


def _log_in(deployment: Deployment) -> str:
    """Let Docker push; the registry's host."""
    (token,) = deployment.aws.ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    registry = token["proxyEndpoint"].removeprefix("https://")
    _docker(["login", "--username", user, "--password-stdin", registry], given=password)
    return registry


def _docker(arguments: Sequence[str], folder: str | None = None, given: str | None = None) -> None:
    try:
        done = subprocess.run(
            ["docker", *arguments],  # noqa: S607 - found on the caller's PATH
            cwd=folder,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildFailed('images = "local" needs Docker, and there is no command `docker`. Install it.') from error
    if done.returncode:
        lines = "".join(f"\n  {line}" for line in done.stdout.splitlines()[-_LAST_LINES:])
        advice = ""
        if "exec format error" in done.stdout:
            advice = "\nThis machine cannot run ARM64 images: use an ARM64 machine, or install QEMU's binfmt handlers."
        raise BuildFailed(f"docker {arguments[0]} ended with {done.returncode}:{lines}{advice}")
