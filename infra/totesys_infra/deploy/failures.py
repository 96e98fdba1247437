"""The errors that end a deployment."""

from totesys.errors import TerminalError


class DeployRefused(TerminalError):
    """Something has to be corrected first. Nothing was changed."""

    title = "Deployment refused"


class StackFailed(TerminalError):
    """CloudFormation refused a stack, or could not create or update it."""

    title = "Stack failed"


class BuildFailed(TerminalError):
    """The images could not be built."""

    title = "Build failed"


class SmokeFailed(TerminalError):
    """The deployed release does not work."""

    title = "Smoke test failed"
