"""Why a deployment does not go on."""

from totesys.errors import TerminalError


class DeployRefused(TerminalError):
    """Something has to be put right first. Nothing was changed."""

    title = "Deployment refused"


class StackFailed(TerminalError):
    """CloudFormation refused a stack, or could not make it."""

    title = "Stack failed"


class BuildFailed(TerminalError):
    """CodeBuild could not make the images."""

    title = "Build failed"


class SmokeFailed(TerminalError):
    """What is deployed does not do its work."""

    title = "Smoke test failed"
