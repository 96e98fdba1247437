"""docs/settings.md names every variable, and is generated from the declarations."""

import re
from pathlib import Path

from docs.build.settings_page import SERVICES, to_markdown
from totesys.service_settings import ServiceSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_has_a_description() -> None:
    for settings in SERVICES.values():
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name}"


def test_the_settings_page_is_what_the_declarations_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == to_markdown(), "run `make docs`"


def test_the_settings_page_has_each_variable_of_each_service_once() -> None:
    sections = {text.partition("\n")[0].lower(): text for text in to_markdown().split("\n## ")}
    common = set(ServiceSettings.model_fields)
    for service, settings in SERVICES.items():
        own = re.findall(r"^\| `TOTESYS_(\w+)` \|", sections[service], re.MULTILINE)
        assert sorted(own) == sorted(name.upper() for name in settings.model_fields if name not in common)
