"""Whether grants allow the calls that a service made, and whether it made those that they allow. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from totesys_infra.names import Names
from totesys_infra.permissions import Permission

# The action that IAM asks for, and the ARN of what it is about.
Use = tuple[str, str]

# Where an operation of S3 is not called as its action; SQS has one action for each operation.
_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


def uses(names: Names, requests: Mapping[Use, int]) -> Counter[Use]:
    """Requests, as `FaultyAws.resources` counts them, by action and ARN."""
    found: Counter[Use] = Counter()
    for (operation, about), times in requests.items():
        of, name = operation.split()
        arn = f"arn:{names.partition}:s3:::{about.strip('/')}" if of == "S3" else names.queue_arn(about)
        found[f"{of.lower()}:{_ACTIONS.get(name, name)}", arn] += times
    return found


def pairs(grants: Iterable[Permission]) -> Iterator[Use]:
    """Each action with each pattern of resources that grants allow it on."""
    return ((action, resource) for one in grants for action in one.actions for resource in one.resources)


def missing(grants: Iterable[Permission], seen: Mapping[Use, int]) -> list[Use]:
    """Uses that no grant allows."""
    allowed = list(pairs(grants))
    return [use for use in seen if not any(_covers(pair, use) for pair in allowed)]


def unused(grants: Iterable[Permission], seen: Mapping[Use, int]) -> list[Use]:
    """Pairs of action and pattern that nothing was done by."""
    return [pair for pair in pairs(grants) if not any(_covers(pair, use) for use in seen)]


def table(service: str, grants: Iterable[Permission], seen: Mapping[Use, int]) -> str:
    """A line for each pair: service, action, pattern, and how many calls it allowed."""
    counted = ((pair, sum(times for use, times in seen.items() if _covers(pair, use))) for pair in pairs(grants))
    return "\n".join(f"{service:9} {action:28} {resource:100} {times:5}" for (action, resource), times in counted)


def _covers(pair: Use, use: Use) -> bool:
    return pair[0] == use[0] and fnmatchcase(use[1], pair[1])
