"""The commit to deploy, and its files as an archive in the code bucket."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from totesys_infra.deploy.clients import code
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused


@dataclass(frozen=True)
class Commit:
    """HEAD of the repository in `root`: its full SHA-1, and its version for people."""

    root: Path
    revision: str
    version: str

    @property
    def key(self) -> str:
        """The key of its archive in the code bucket."""
        return f"bundles/{self.revision}.zip"


def commit(root: Path) -> Commit:
    """HEAD. Raises DeployRefused if the working tree differs from it."""
    changed = _git(root, "status", "--porcelain").decode().splitlines()
    if changed:
        listed = "".join(f"\n  {line}" for line in changed[:10])
        raise DeployRefused(
            "A deployment needs a clean working tree, and these files differ from HEAD. Commit or stash them:" + listed
        )
    revision = head(root)
    version = _git(root, "describe", "--tags", "--always", "HEAD").decode().strip()
    return Commit(root, revision, version)


def head(root: Path) -> str:
    """The revision of HEAD. Raises DeployRefused without a repository."""
    return _git(root, "rev-parse", "HEAD").decode().strip()


def archive(of: Commit) -> bytes:
    """The commit's files as a zip, with the same bytes on every machine."""
    return _git(of.root, "-c", "core.autocrlf=false", "archive", "--format=zip", of.revision)


def upload(deployment: Deployment, of: Commit) -> None:
    """Put the archive into the code bucket, unless it is there."""
    bucket = deployment.names.bucket("code")
    try:
        deployment.aws.s3.head_object(Bucket=bucket, Key=of.key)
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey"):
            raise
        body = archive(of)
        deployment.aws.s3.put_object(Bucket=bucket, Key=of.key, Body=body, ContentType="application/zip")
        deployment.report(f"bundle: s3://{bucket}/{of.key}, {len(body):,} bytes")
    else:
        deployment.report(f"bundle: s3://{bucket}/{of.key} exists")


def _git(root: Path, *arguments: str) -> bytes:
    try:
        # A zip has local times.
        called = subprocess.run(
            ["git", *arguments],  # noqa: S607 - wherever the caller has it
            cwd=root,
            capture_output=True,
            check=True,
            env={**os.environ, "TZ": "UTC"},
        )
    except FileNotFoundError as error:
        raise DeployRefused("Deploying needs git, which is not installed. Install it.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise DeployRefused(f"git {arguments[0]} failed in {root}: {said}. Deploy from a clone.") from error
    return called.stdout
