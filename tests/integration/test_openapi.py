"""Each service answers as its OpenAPI document says, whatever it is asked: schemathesis asks."""

import asyncio
import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.examples import TIMES
from tests.processes import LIBRARY
from tests.sources import make_library
from totesys.stage_names import STAGES
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.service_processes import run_services

TOKEN = "open-sesame"
EXAMPLES = 10 * TIMES
HOOKS = Path(__file__).parents[1] / "schemathesis_hooks.py"


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Where each call of schemathesis may leave what it leaves."""
    for stage in STAGES:
        (tmp_path / stage).mkdir()
    return {stage: tmp_path / stage for stage in STAGES}


async def asked(address: str, token: str | None, folder: Path) -> tuple[int | None, str]:
    """Ask a service whatever its document allows and forbids; the exit code, and what was found."""
    # What a token changes is one operation: that the edges of all values are tried once is enough.
    phases = "examples,coverage,fuzzing" if token else "fuzzing"
    process = await asyncio.create_subprocess_exec(
        *(Path(sysconfig.get_path("scripts")) / "schemathesis", "run", f"{address}/openapi.json"),
        *("--phases", phases, "--max-examples", str(EXAMPLES), "--generation-deterministic"),
        *("--checks", "all"),
        *(["--header", f"Authorization: Bearer {token}"] if token else []),
        *("--request-timeout", "30", "--no-shrink", "--no-color"),
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def asks_for_a_token(address: str) -> bool:
    """Whether a service's document says that its trigger is guarded."""
    async with httpx.AsyncClient(base_url=address) as client:
        trigger = (await client.get("/openapi.json")).json()["paths"]["/trigger"]["post"]
    assert ("401" in trigger["responses"]) == ("security" in trigger)
    return "security" in trigger


@pytest.mark.parametrize(
    "token", [pytest.param(TOKEN, marks=pytest.mark.long, id="with a token"), pytest.param(None, id="without")]
)
async def test_every_answer_is_the_documented_one(
    data_plane: LocalDataPlane, database: Callable[[], str], folders: dict[str, Path], token: str | None
) -> None:
    settings = {
        **LIBRARY,
        "TOTESYS_SOURCE_DSN": await make_library(database()),
        "TOTESYS_WAREHOUSE_DSN": database(),
        **({"TOTESYS_TRIGGER_TOKEN": token} if token else {}),
    }
    async with run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services:
        for address in services.addresses.values():
            assert await asks_for_a_token(address) == bool(token)
        found = await asyncio.gather(*(asked(services.addresses[s], token, folders[s]) for s in STAGES))
    failed = [printed for code, printed in found if code != 0]
    assert not failed, "\n".join(failed)
