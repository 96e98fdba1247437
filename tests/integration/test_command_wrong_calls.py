"""A call that can't work ends at once with the code 2 and one line that says what to mend, and leaves nothing."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.command import PASSWORD, Command, Companies, Company, Ended, as_role, rows
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.reachable import ReachablePostgres

# What is wrong with the source, and what the line says of it.
BROKEN_SOURCES = {
    "REVOKE SELECT ON design FROM {reader}": ("no SELECT on design", "Grant"),
    "ALTER TABLE design RENAME TO designs": ("schema public", "table design is missing", "Fix"),
    "ALTER TABLE staff RENAME email_address TO mail": ("column staff.email_address is missing", "Fix"),
    "ALTER TABLE payment ALTER paid TYPE text": ("column payment.paid is text, declared as boolean", "Fix"),
}


@pytest.fixture(scope="module")
async def companies(postgres: ReachablePostgres) -> Companies:
    return await Companies.of(postgres, scale=0.01)


@pytest.fixture
async def company(companies: Companies) -> Company:
    return await companies.make()


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


def assert_refused(ended: Ended, *words: str) -> None:
    """It has said what is wrong in one line, without a traceback or a password."""
    assert (ended.code, ended.out) == (2, ""), ended.words
    assert ended.err.startswith("totesys: ")
    assert ended.err.count("\n") == 1
    assert [word for word in words if word not in ended.err] == []
    assert_no_password(ended)


def assert_no_password(ended: Ended) -> None:
    for text in (PASSWORD, urlsplit(as_role("postgresql://h", "u")).password or "", "s3cr", "wr0ng"):
        assert text not in ended.words


async def assert_untouched(company: Company) -> None:
    made = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public$|mine$)'"
    assert await rows(company.warehouse_owner, made) == []


def place(dsn: str) -> str:
    """Where a database is, as people say it."""
    parts = urlsplit(dsn)
    return f"{parts.hostname}:{parts.port}{parts.path}"


@pytest.mark.parametrize("side", ["source", "warehouse"])
async def test_an_address_that_leads_nowhere_is_refused(side: str, company: Company, totesys: Command) -> None:
    right = getattr(company, side)
    role = urlsplit(right).username or ""
    dsns = {
        f"postgresql://{role}:wr0ng@{LOOPBACK}:1/db": (f"{LOOPBACK}:1/db", "does not answer", "Check"),
        as_role(right, role, "wr0ng"): (place(right), "password", "Correct"),
        as_role(right, "nobody_here", "wr0ng"): (place(right), "nobody_here", "Correct"),
        f"{right}_not": (f"{place(right)}_not", "does not exist", "correct the DSN"),
        "my database, please": (f"the {side}", "DSN", "Write postgresql://"),
        "mysql://me:wr0ng@host/db": (f"the {side}", "DSN", "Write postgresql://"),
        "postgresql://me:wr0ng@host:port/db": (f"the {side}", "DSN", "Write postgresql://"),
    }
    for dsn, words in dsns.items():
        # Of an option that is there twice, the last one counts.
        assert_refused(totesys("run", *company.arguments, f"--{side}", dsn, "--once"), side, *words)
    assert_refused(totesys("verify", *company.arguments, f"--{side}", dsn), side, *words)
    await assert_untouched(company)


async def test_a_dsn_may_come_from_the_environment(company: Company, totesys: Command) -> None:
    totesys.settings = {"TOTESYS_SOURCE_DSN": company.source, "TOTESYS_WAREHOUSE_DSN": company.warehouse}
    assert_refused(totesys("verify"), "The warehouse", place(company.warehouse), "does not exist")
    assert_refused(totesys("verify", "--source", f"{company.source}_not"), f"{place(company.source)}_not")
    totesys.settings["TOTESYS_SOURCE_DSN"] = "postgresql://me:wr0ng@host:port/db"
    for call in (("run", "--once"), ("simulate",), ("verify",)):
        assert_refused(totesys(*call), "The DSN of the source")


@pytest.mark.parametrize("fault", BROKEN_SOURCES)
async def test_a_source_that_is_not_as_declared_is_refused(
    fault: str, company: Company, totesys: Command, tmp_path: Path
) -> None:
    await rows(company.source_owner, fault.format(reader=urlsplit(company.source).username))
    state = tmp_path / "state"
    ended = totesys("run", *company.arguments, "--once", "--state", str(state))
    assert_refused(ended, "source", place(company.source), *BROKEN_SOURCES[fault])
    assert not state.exists()
    await assert_untouched(company)


async def test_once_it_is_mended_the_same_call_works(company: Company, totesys: Command, tmp_path: Path) -> None:
    reader = urlsplit(company.source).username
    for spoil in BROKEN_SOURCES:
        await rows(company.source_owner, spoil.format(reader=reader))
    call = ("run", *company.arguments, "--once", "--state", str(tmp_path / "state"))
    assert totesys(*call).code == 2
    await rows(company.source_owner, "ALTER TABLE designs RENAME TO design")
    await rows(company.source_owner, "ALTER TABLE staff RENAME mail TO email_address")
    await rows(company.source_owner, "ALTER TABLE payment ALTER paid TYPE boolean USING paid::boolean")
    assert_refused(totesys("verify", *company.arguments), "no SELECT on design", "Grant")
    await rows(company.source_owner, f"GRANT SELECT ON design TO {reader}")
    assert totesys(*call).code == 0
    ended = totesys("verify", *company.arguments)
    assert ended.code == 0, ended.words


async def test_a_warehouse_that_has_other_tables_is_left_as_it_is(company: Company, totesys: Command) -> None:
    writer = urlsplit(company.warehouse).username
    await rows(company.warehouse_owner, f"CREATE SCHEMA mine AUTHORIZATION {writer}")
    await rows(company.warehouse, "CREATE TABLE mine.dim_staff (staff_id text, first_name text, mood text NOT NULL)")
    call = ("run", *company.arguments, "--once", "--warehouse-schema", "mine")
    assert_refused(
        totesys(*call),
        *("The warehouse", place(company.warehouse), "schema mine", "move the tables away"),
        *(
            "dim_staff.staff_id is text, not integer",
            "dim_staff.last_name is missing",
            "dim_staff.mood is not declared",
        ),
    )
    await assert_untouched(company)
    tables = await rows(company.warehouse, "SELECT tablename FROM pg_tables WHERE schemaname = 'mine'")
    assert [row["tablename"] for row in tables] == ["dim_staff"]


async def test_a_warehouse_role_that_may_not_create_is_refused(company: Company, totesys: Command) -> None:
    writer, database = urlsplit(company.warehouse).username, urlsplit(company.warehouse).path.strip("/")
    await rows(company.warehouse_owner, f"REVOKE CREATE ON DATABASE {database} FROM {writer}")
    ended = totesys("run", *company.arguments, "--once")
    assert_refused(ended, "The warehouse", place(company.warehouse), "create its schemas", "Grant CREATE")
    await assert_untouched(company)


async def test_a_warehouse_that_nothing_has_filled_is_not_verified(company: Company, totesys: Command) -> None:
    ended = totesys("verify", *company.arguments)
    assert_refused(ended, "The warehouse", place(company.warehouse), "does not exist")


async def test_options_that_make_no_sense_are_refused(company: Company, totesys: Command, tmp_path: Path) -> None:
    state, file = tmp_path / "state", tmp_path / "file"
    file.touch()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "s3").touch()
    call = ("run", *company.arguments, "--once", "--state")
    assert_refused(totesys(*call, str(state), "--every", "5x"), "'5x'", "30s, 5m, 1h")
    assert_refused(totesys(*call, str(state), "--model", "nope"), "'nope'", "Correct it")
    assert_refused(totesys(*call, str(state), "--log", str(tmp_path)), str(tmp_path), "Name another file")
    assert not state.exists()
    for unusable in (file, tmp_path / "used"):
        assert_refused(totesys(*call, str(unusable)), str(unusable), "Choose another folder")
    await assert_untouched(company)


def is_free(port: int) -> bool:
    """Whether nobody else has taken a port meanwhile."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except OSError:
        return False


async def test_a_port_in_use_is_named_before_anything_starts(
    company: Company, totesys: Command, tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as busy:
        port = busy.getsockname()[1]
        before = [port - 1] if is_free(port - 1) else []
        # Three ports are needed, so that the one before it won't do either.
        for first in (port, *before):
            ended = totesys("run", *company.arguments, "--state", str(tmp_path / "state"), "--port", str(first))
            assert_refused(ended, f"{LOOPBACK}:{port}", "in use", "choose another port")
    assert not (tmp_path / "state").exists()
    await assert_untouched(company)


async def test_a_source_that_may_only_be_read_is_not_simulated(company: Company, totesys: Command) -> None:
    before = await rows(company.source_owner, "SELECT count(*), max(xmin::text) FROM sales_order")
    ended = totesys("simulate", "--source", company.source, "--seconds", "1")
    assert_refused(ended, "The source", place(company.source), "permission denied")
    assert await rows(company.source_owner, "SELECT count(*), max(xmin::text) FROM sales_order") == before


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "--source", "x"), ("run", "--port", "-1"), ("nothing",), ("demo", "--rate", "0"), ("verify",)],
    ids=" ".join,
)
def test_an_incomplete_call_says_what_is_missing(arguments: tuple[str, ...], totesys: Command) -> None:
    ended = totesys(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: totesys" in ended.err
    assert "Traceback" not in ended.err
