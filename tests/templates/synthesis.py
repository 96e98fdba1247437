"""What the app makes of every environment."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.templates.finding import Template
from tests.templates.nag import NagReport, nag_app
from totesys_infra.environment import Environment
from totesys_infra.stacks.cdk_app import build


@dataclass(frozen=True)
class Synthesis:
    """Templates, and what cdk-nag said while they were made."""

    templates: list[Template]
    nag: NagReport

    def first(self, stack: str) -> Template:
        """The first variant of a stack."""
        return next(template for template in self.templates if template.stack == stack)


def synthesise(environments: Mapping[str, Environment]) -> Synthesis:
    """The distinct templates of environments: what is the same in several is there once."""
    templates: list[Template] = []
    nag = NagReport()
    for variant, environment in environments.items():
        made = _one(variant, environment)
        templates += made.templates
        nag += made.nag
    return Synthesis(distinct(templates), nag)


def _one(variant: str, environment: Environment) -> Synthesis:
    def stack(name: str) -> str:
        return "data-plane" if name == environment.name else name.removeprefix(f"{environment.name}-")

    with tempfile.TemporaryDirectory(prefix="totesys-synth-") as name:
        folder = Path(name)
        nag = nag_app(build(environment, folder), folder, lambda key: f"{stack(key)}.{variant}")
        templates = [
            Template(stack(file.name.removesuffix(".template.json")), variant, json.loads(file.read_text()))
            for file in sorted(folder.glob("*.template.json"))
        ]
    return Synthesis(templates, nag)


def distinct(templates: Iterable[Template]) -> list[Template]:
    """One of each: the first variant of those that are equal."""
    return list({(t.stack, json.dumps(t.body)): t for t in reversed(list(templates))}.values())[::-1]
