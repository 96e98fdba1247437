"""What the app makes of every environment."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.templates.finding import Finding, Template
from tests.templates.nag import nag_app
from totesys_infra.environment import Environment
from totesys_infra.stacks.app import build


@dataclass(frozen=True)
class Synthesis:
    """Templates, and what cdk-nag found while they were made."""

    templates: list[Template]
    nag: list[Finding]

    def first(self, stack: str) -> Template:
        """The first variant of a stack."""
        return next(template for template in self.templates if template.stack == stack)


def synthesise(variant: str, environment: Environment) -> Synthesis:
    """The templates of an environment, with cdk-nag over its app."""
    names = environment.names
    with tempfile.TemporaryDirectory(prefix="totesys-synth-") as name:
        folder = Path(name)
        nag = nag_app(build(environment, folder), folder)
        templates = [
            Template(
                _stack(file.name.removesuffix(".template.json"), names.name), variant, json.loads(file.read_text())
            )
            for file in sorted(folder.glob("*.template.json"))
        ]
    labels = {names.stack(t.stack): t.label for t in templates}
    return Synthesis(templates, [finding.relabelled(labels) for finding in nag])


def _stack(file: str, environment: str) -> str:
    name = file.removesuffix(".template.json")
    return "data-plane" if name == environment else name.removeprefix(f"{environment}-")


def synthesise_all(environments: Mapping[str, Environment]) -> Synthesis:
    """The distinct templates of environments: what is the same in several is there once."""
    made = [synthesise(variant, environment) for variant, environment in environments.items()]
    return Synthesis(distinct(t for one in made for t in one.templates), [f for one in made for f in one.nag])


def distinct(templates: Iterable[Template]) -> list[Template]:
    """One of each: the first variant of those that are equal."""
    return list({(t.stack, json.dumps(t.body)): t for t in reversed(list(templates))}.values())[::-1]
