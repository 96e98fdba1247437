"""docs/analysts.md: each recipe runs as it is written, with an analyst's login, and prints what the page shows."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.analytics.conftest import Warehouse

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / "analytics" / ".venv"
PAGE = (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Connect your tool\n")[2].partition("\n## ")[0]
TOOLS = {text.partition("\n")[0]: text for text in SECTION.split("\n### ")[1:]}
PYTHON = re.compile(r"^```python\n(?P<code>.*?)^```\n\n```\n(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```\n\$ (?P<code>psql.*?^SQL\n)(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE)
EXTENSION = "duckdb_extension_postgres_scanner"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which DuckDB's Postgres extension is installed already, as INSTALL does once per machine."""
    home = tmp_path_factory.mktemp("home")
    (package,) = ENVIRONMENT.glob(f"lib/*/site-packages/{EXTENSION}/extensions/*")
    platform = _python("import duckdb; print(duckdb.sql('PRAGMA platform').fetchone()[0])", {"HOME": str(home)})
    folder = home / ".duckdb" / "extensions" / package.name / platform.strip()
    folder.mkdir(parents=True)
    (folder / "postgres_scanner.duckdb_extension").symlink_to(package / "postgres_scanner.duckdb_extension")
    return home


def _python(code: str, environment: dict[str, str]) -> str:
    return _run([str(ENVIRONMENT / "bin" / "python"), "-c", code], environment)


def _run(command: list[str], environment: dict[str, str]) -> str:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _lines(text: str) -> list[str]:
    """The lines without spaces at their ends, which no page keeps, and without empty ones at the end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip().splitlines()


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        pytest.param(found["code"], found["shown"], id=f"{tool}-{number}")
        for tool, text in TOOLS.items()
        for number, found in enumerate(PYTHON.finditer(text), 1)
    ],
)
def test_a_recipe_in_python_prints_what_the_page_shows(code: str, shown: str, warehouse: Warehouse, home: Path) -> None:
    assert _lines(_python(code, warehouse.environment | {"HOME": str(home)})) == _lines(shown)


def test_the_recipe_for_psql_prints_what_the_page_shows(warehouse: Warehouse) -> None:
    (found,) = SHELL.finditer(TOOLS["psql"])
    assert _lines(_run(["bash", "-c", found["code"]], warehouse.environment)) == _lines(found["shown"])


def test_every_recipe_of_the_page_is_run() -> None:
    runs = {tool: len(PYTHON.findall(text)) for tool, text in TOOLS.items()}
    assert sum(runs.values()) == PAGE.count("```python")
    assert {tool for tool, number in runs.items() if number} == {"DuckDB", "polars", "pandas"}
    assert list(TOOLS) == ["psql", "DuckDB", "polars", "pandas", "Metabase", "Power BI", "Superset"]
