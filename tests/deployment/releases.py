"""The images of releases, built here and named as the emulator's registry names them."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from tests.compose.stack import PROJECT, run
from totesys_infra.deploy.bundle import Commit
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.names import SERVICES, Names, Service

PACKAGES = "/app/lib/python3.13/site-packages"
# A load that refuses every run, as a release with a fault in its code would.
REFUSES_RUNS = f"""
USER root
RUN find {PACKAGES}/totesys_load -name 'run_loader.*.pyc' -delete && printf '%s\\n' \\
    'from totesys.errors import DataRefused' \\
    'async def _refuse(self): raise DataRefused("a planted fault")' \\
    'RunLoader.apply = _refuse' >> {PACKAGES}/totesys_load/run_loader.py
USER 10001:10001
"""


@dataclass(frozen=True)
class Release:
    """A release: the services' present images, with a revision and, for a service, more lines of a Dockerfile."""

    name: str
    changed: dict[Service, str] = field(default_factory=dict)

    @property
    def commit(self) -> Commit:
        """The commit that stands for it."""
        return Commit(PROJECT, hashlib.sha1(self.name.encode()).hexdigest(), self.name)

    def build(self, deployment: Deployment, commit: Commit, services: Sequence[Service]) -> None:
        """In the place of `docker.build`: no registry to push to, and images of this machine's architecture."""
        for repository, image in self.tag_images(deployment.names, services).items():
            manifest = json.dumps({"schemaVersion": 2, "config": {"digest": image}})
            deployment.aws.ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=commit.revision)

    def tag_images(self, names: Names, services: Sequence[Service] = SERVICES) -> dict[str, str]:
        """Build the images, with the names that the templates give them. Returns them by repository."""
        found = {}
        for service in services:
            lines = (
                f"FROM {base(service)}\nENV TOTESYS_REVISION={self.commit.revision}\n{self.changed.get(service, '')}"
            )
            registry = f"{names.account}.dkr.ecr.{names.region}.amazonaws.com"
            found[names.repository(service)] = f"{registry}/{names.repository(service)}:{self.commit.revision}"
            call = ["docker", "build", "--quiet", "--tag", found[names.repository(service)], "-"]
            subprocess.run(call, input=lines, text=True, check=True, stdout=subprocess.PIPE)
        return found


@cache
def base(name: str) -> str:
    """The image as its Dockerfile makes it, with the arguments of the composed ones, whose layers it shares."""
    image = f"totesys-deployed-{name}:test"
    arguments = {"SERVICE": name, "VERSION": "test", "REVISION": "a-revision"}
    given = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    given += ["--target", "command"] if name == "cli" else []
    run("docker", "build", "--quiet", "--file", "services/Dockerfile", *given, "--tag", image, ".")
    return image


def remove_images(name: str) -> None:
    """Remove the images of an environment's releases."""
    listed = ("--filter", f"reference=*/{name}/*", "--format", "{{.Repository}}:{{.Tag}}")
    if images := run("docker", "images", *listed).split():
        run("docker", "rmi", *images)
