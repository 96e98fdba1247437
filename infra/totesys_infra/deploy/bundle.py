"""The commit that is deployed: what git says of it, and its files as one archive in the code bucket."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from totesys_infra.deploy.aws import code
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import DeployRefused


@dataclass(frozen=True)
class Commit:
    """HEAD of the repository in `root`: its full SHA-1, and what a person calls it."""

    root: Path
    revision: str
    version: str

    @property
    def key(self) -> str:
        """Where its archive is in the code bucket."""
        return f"bundles/{self.revision}.zip"


def commit(root: Path) -> Commit:
    """HEAD, with nothing in the tree that is not in it. Raises DeployRefused."""
    changed = _git(root, "status", "--porcelain").decode().splitlines()
    if changed:
        listed = "".join(f"\n  {line}" for line in changed[:10])
        raise DeployRefused(
            "What is deployed is a commit, and these files differ from it. Commit or stash them:" + listed
        )
    revision = _git(root, "rev-parse", "HEAD").decode().strip()
    version = _git(root, "describe", "--tags", "--always", "HEAD").decode().strip()
    return Commit(root, revision, version)


def archive(of: Commit) -> bytes:
    """The commit's files as a zip: the same bytes whoever makes it, and wherever."""
    return _git(of.root, "-c", "core.autocrlf=false", "archive", "--format=zip", of.revision)


def upload(deployment: Deployment, of: Commit) -> None:
    """Put the archive into the code bucket, if it is not there."""
    bucket = deployment.names.bucket("code")
    try:
        deployment.aws.s3.head_object(Bucket=bucket, Key=of.key)
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey"):
            raise
        body = archive(of)
        deployment.aws.s3.put_object(Bucket=bucket, Key=of.key, Body=body, ContentType="application/zip")
        deployment.say(f"bundle: s3://{bucket}/{of.key}, {len(body):,} bytes")
    else:
        deployment.say(f"bundle: s3://{bucket}/{of.key} is there")


def _git(root: Path, *arguments: str) -> bytes:
    try:
        # Times in a zip are local ones.
        called = subprocess.run(
            ["git", *arguments],  # noqa: S607 - wherever the caller has it
            cwd=root,
            capture_output=True,
            check=True,
            env={**os.environ, "TZ": "UTC"},
        )
    except FileNotFoundError as error:
        raise DeployRefused("git is needed to deploy, and is not there. Install it.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise DeployRefused(f"git {arguments[0]} failed in {root}: {said}. Deploy from a clone.") from error
    return called.stdout
