"""What a queue's address says of its data plane, and the commands that look into it. Pure."""

import re
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlsplit

from totesys.stage_names import STAGES

_AWS = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True)
class DataPlane:
    """The name of a data plane, and its region on AWS or its endpoint elsewhere."""

    name: str
    region: str | None = None
    endpoint: str | None = None

    @classmethod
    def of_queue(cls, url: str, stage: str) -> "DataPlane":
        """The data plane of a stage's queue."""
        parts = urlsplit(url)
        name = parts.path.rpartition("/")[2].removesuffix(f"-{stage}")
        region = _AWS.fullmatch(parts.hostname or "")
        return cls(name, region[1]) if region else cls(name, endpoint=f"{parts.scheme}://{parts.netloc}")

    def quarantine_command(self, table: str, run: int) -> str:
        """The command that shows the quarantined rows of a table in a run."""
        at = f" --endpoint {quote(self.endpoint)}" if self.endpoint else ""
        return f"totesys quarantine show {quote(table)} --run {run} --name {quote(self.name)}{at}"

    def log_commands(self, run: int) -> tuple[str, ...]:
        """The commands that print a run's log lines from CloudWatch, one for each stage; none outside AWS."""
        if not self.region:
            return ()
        pattern = quote(f"{{ $.run = {run} }}")
        return tuple(
            f"aws logs tail /{self.name}/{stage} --region {self.region} --since 7d --filter-pattern {pattern}"
            for stage in STAGES
        )

    def log_link(self, run: int) -> str:
        """The query for a run's log lines in CloudWatch Logs Insights; empty outside AWS."""
        if not self.region:
            return ""
        query = f"fields @timestamp, @log, @message | filter run = {run} | sort @timestamp"
        groups = "".join(f"~'{_encoded(f'/{self.name}/{stage}')}" for stage in STAGES)
        return (
            f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
            "#logsV2:logs-insights$3FqueryDetail$3D"
            f"~(end~0~start~-604800~timeType~'RELATIVE~unit~'seconds~editorString~'{_encoded(query)}~source~({groups}))"
        )


def _encoded(text: str) -> str:
    """A text as the links of CloudWatch's console encode it."""
    return "".join(one if re.fullmatch("[A-Za-z0-9_.-]", one) else f"*{ord(one):02x}" for one in text)
