"""A DSN means what it means to psql: both connect, as the same user to the same database, or both refuse."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.psql import QUESTION, Answer, ask_psql, parameters_of_libpq, parsed_by_libpq
from tests.sources import execute
from totesys.connection import connect
from totesys.dsn.parameters import ENVIRONMENT, DsnError
from totesys.dsn.syntax import parse
from totesys.errors import DatabaseUnavailable, SettingsError, TotesysError
from totesys_cli.local.reachable import ReachablePostgres

ROLE, DATABASE, READ_ONLY = "dsn_role", "dsn_db", "dsn_read_only"
PASSWORD = "a:b\\c d'e"
# As URLs, keywords and password files write it.
WRITTEN = {"in_url": "a%3Ab%5Cc%20d%27e", "in_quotes": r"'a:b\\c d\'e'", "in_file": r"a\:b\\c d'e"}
SERVICES = """
# Comments and other services are passed over.
[other]
host=nowhere
[whole]
host=127.0.0.1
 port={port}
user=dsn_role
password=a:b\\c d'e
dbname=dsn_db
[whole]
dbname=nowhere
[part]
host=127.0.0.1
port={port}
[spaced]
host = 127.0.0.1
[nested]
service=whole
[unknown]
hots=127.0.0.1
[torn]
host
[timeout]
connect_timeout=x
"""
PASSWORDS = r"""# host:port:database:user:password
nowhere:*:*:*:wrong
127.0.0.1:{port}:dsn\:db:dsn_role:wrong
127.0.0.1:*:*:dsn_role:{in_file}:and more
127.0.0.1:*:*:dsn_role:wrong
"""
URL, PLACE = "postgresql://dsn_role:{in_url}@", "127.0.0.1:{port}"
WORDS = "host=127.0.0.1 port={port} user=dsn_role password={in_quotes} dbname=dsn_db"
DSN = f"{URL}{PLACE}/dsn_db"
DEAD = "127.0.0.1:1"

SYNTAX = [
    DSN,
    DSN.replace("postgresql:", "postgres:"),
    DSN.replace("postgresql:", "http:"),
    f"{URL}{PLACE}",
    f"{URL}{PLACE}/nowhere",
    f"{URL}{PLACE}/%64sn_db",
    f"{URL}{PLACE}/dsn_db?",
    f"{URL}{PLACE}/dsn_db?dbname=nowhere",
    f"{URL}{PLACE}/nowhere?dbname=dsn_db",
    "postgresql://{place}/dsn_db?user=dsn_role&password={in_url}".replace("{place}", PLACE),
    "postgresql:///dsn_db?host=127.0.0.1&port={port}&user=dsn_role&password={in_url}",
    "postgresql://?host=127.0.0.1&port={port}&user=dsn_role&password={in_url}&dbname=dsn_db",
    f"{URL}localhost:{{port}}/dsn_db",
    f"{URL}[::ffff:127.0.0.1]:{{port}}/dsn_db",
    f"{URL}[127.0.0.1:{{port}}/dsn_db",
    "postgresql://dsn_role:a:b\\c%20d'e@127.0.0.1:{port}/dsn_db",
    "postgresql://dsn_role:a:b\\c d'e@127.0.0.1:{port}/dsn_db",
    "postgresql://dsn_role:wrong@127.0.0.1:{port}/dsn_db",
    "postgresql://dsn_role:a+b@127.0.0.1:{port}/dsn_db",
    "postgresql://dsn_role@127.0.0.1:{port}/dsn_db",
    "postgresql://127.0.0.1:{port}/dsn_db",
    f"{URL}127.0.0.1:0/dsn_db",
    f"{URL}127.0.0.1:65536/dsn_db",
    f"{URL}127.0.0.1:x/dsn_db",
    f"{DSN}?%zz=1",
    f"{DSN}?a",
    f"{DSN}?a=b",
    f"{DSN}?application_name=x=y",
    f"{DSN}?application_name=x&",
    f"{DSN}?application_name=x&&",
    WORDS,
    f"  {WORDS.replace('=', ' = ')}  ",
    WORDS.replace("127.0.0.1", "'127.0.0.1'"),
    WORDS.replace("dsn_db", r"ds\n_db"),
    f"{WORDS} hots=x",
    f"{WORDS} application_name",
    f"{WORDS} application_name='x",
    f"{WORDS} application_name=",
    f"{WORDS} application_name='it\\'s'",
    WORDS.replace("dbname=dsn_db", "dbname=nowhere dbname=dsn_db"),
    WORDS.replace("dbname=dsn_db", f"dbname={DSN}"),
]
VALUES = [
    *(f"application_name={value}" for value in ("", "x", "a%20b", "%22%27")),
    "application_name=x&fallback_application_name=y",
    *(f"connect_timeout={value}" for value in ("", "0", "1", "-1", "%2010%20", "1x", "9999999999", "+2")),
    *(f"keepalives={value}" for value in ("", "0", "1", "2", "x")),
    *(
        f"keepalives_{one}={value}"
        for one in ("idle", "interval", "count")
        for value in ("", "0", "-1", "9", "x", "99999")
    ),
    "keepalives=0&keepalives_idle=x",
    *(f"tcp_user_timeout={value}" for value in ("", "0", "-1", "20000", "x")),
    *(f"channel_binding={value}" for value in ("", "disable", "prefer", "require", "x")),
    *(f"gssencmode={value}" for value in ("", "disable", "prefer", "require", "x")),
    *(f"sslmode={value}" for value in ("", "disable", "allow", "prefer", "x", "require", "verify-ca", "verify-full")),
    "requiressl=0",
    "requiressl=1",
    "ssl=true",
    "ssl=false",
    *(f"sslnegotiation={value}" for value in ("", "postgres", "direct", "x")),
    *(f"sslcertmode={value}" for value in ("", "disable", "allow", "require", "x")),
    *(f"sslcompression={value}" for value in ("", "0", "1", "x")),
    *(f"ssl_min_protocol_version={value}" for value in ("", "TLSv1", "tlsv1.2", "TLSv1.3", "SSLv3", "x")),
    *(f"ssl_max_protocol_version={value}" for value in ("", "TLSv1.2", "TLSv1.3", "x")),
    "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
    *(f"{name}=/nowhere" for name in ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "sslkeylogfile")),
    "sslpassword=x",
    "sslsni=1",
    *(f"target_session_attrs={value}" for value in ("", "any", "read-write", "primary", "prefer-standby", "x")),
    *(f"target_session_attrs={value}" for value in ("read-only", "standby")),
    *(f"load_balance_hosts={value}" for value in ("", "disable", "random", "x")),
    *(f"max_protocol_version={value}" for value in ("", "3.0", "3.2", "latest", "x")),
    *(f"min_protocol_version={value}" for value in ("", "3.0", "x")),
    *(f"hostaddr={value}" for value in ("", "127.0.0.1", "127.0.0.2", "localhost", "127.0.0.1,127.0.0.1", "::1")),
    *(f"client_encoding={value}" for value in ("", "auto", "UTF8", "latin1", "x")),
    *(f"options={value}" for value in ("", "-c%20work_mem%3D1MB", "-cx%3D1", "--work-mem%3D1MB", "--no%3D1", "x")),
    "options=-c%20role%3Dnobody_here",
    *(f"replication={value}" for value in ("", "false", "off", "no", "0", "true", "database")),
    *(f"{name}=x" for name in ("krbsrvname", "gsslib", "gssdelegation", "requirepeer")),
    *(f"oauth_{name}=x" for name in ("issuer", "client_id", "client_secret", "scope")),
    *(f"port={value}" for value in ("", "0", "x", "%20{port}%20", "{port},{port}")),
    "service=",
    "service=nowhere",
    "passfile=/nowhere",
    "user=",
    "dbname=",
]
SEVERAL = [
    f"{URL}{DEAD},{PLACE}/dsn_db",
    f"{URL}nowhere.invalid:1,{PLACE}/dsn_db",
    f"{URL}{DEAD},{DEAD}/dsn_db",
    f"{URL}127.0.0.1,127.0.0.1:{{port}}/dsn_db",
    f"{URL}{PLACE},{DEAD}/dsn_db?load_balance_hosts=random",
    "postgresql://dsn_role:wrong@127.0.0.1:{port},127.0.0.1:{port}/dsn_db",
    WORDS.replace("127.0.0.1", "127.0.0.1,127.0.0.1"),
    WORDS.replace("127.0.0.1", "nowhere.invalid,127.0.0.1"),
    WORDS.replace("{port}", "1,{port}"),
    WORDS.replace("127.0.0.1", "127.0.0.1,127.0.0.1,127.0.0.1").replace("{port}", "1,{port}"),
    WORDS.replace("127.0.0.1", "a,b").replace("{port}", "1,{port}") + " hostaddr=127.0.0.1,127.0.0.1",
    WORDS.replace("127.0.0.1", "a,b") + " hostaddr=127.0.0.1",
    WORDS.replace("host=", "hostaddr="),
    *(
        f"{URL}{PLACE}/dsn_read_only?target_session_attrs={wanted}"
        for wanted in ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
    ),
    f"{URL}{PLACE},{PLACE}/dsn_read_only?target_session_attrs=read-write",
]
# A DSN, and what the environment has besides.
ENVIRONMENTS = [
    ("postgresql://", {"PGSERVICE": "whole"}),
    ("postgresql:///nowhere", {"PGSERVICE": "whole"}),
    ("postgresql://?service=whole", {}),
    ("service=whole", {"PGDATABASE": "nowhere", "PGPASSWORD": "wrong"}),
    ("service=part", {"PGDATABASE": "dsn_db", "PGUSER": "dsn_role"}),
    ("service=part user=dsn_role", {"PGPASSWORD": PASSWORD, "PGDATABASE": "dsn_db"}),
    ("service=part user=dsn_role dbname=dsn_db", {"PGPASSFILE": "{home}/nowhere"}),
    *((f"service={name}", {}) for name in ("spaced", "nested", "unknown", "torn", "timeout", "nowhere", "Whole")),
    ("service=whole", {"PGSERVICEFILE": "{home}/nowhere"}),
    ("service=whole", {"PGSERVICEFILE": "{home}/other.conf"}),
    ("service=whole", {"PGSERVICEFILE": "{home}/other.conf", "PGSYSCONFDIR": "{home}/system"}),
    ("service=whole", {"HOME": "/nowhere", "PGSYSCONFDIR": "{home}/system"}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db password=''", {}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {"PGPASSWORD": "wrong"}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {"PGPASSFILE": "{home}/open"}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {"PGPASSFILE": "{home}"}),
    ("host=127.0.0.1 port={port} user=dsn_role dbname=dsn_db passfile={home}/second", {"PGPASSFILE": "{home}/open"}),
    ("host=localhost port={port} user=dsn_role dbname=dsn_db", {}),
    ("host=localhost hostaddr=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {}),
    ("hostaddr=127.0.0.1 port={port} user=dsn_role dbname=dsn_db", {}),
    ("host=localhost,127.0.0.1 port=1,{port} user=dsn_role dbname=dsn_db", {}),
    ("postgresql://127.0.0.1", {"PGPORT": "{port}", "PGUSER": "dsn_role", "PGDATABASE": "dsn_db"}),
    ("postgresql://", {"PGHOST": "127.0.0.1", "PGPORT": "{port}", "PGUSER": "dsn_role", "PGDATABASE": "dsn_db"}),
    ("postgresql://", {"PGHOSTADDR": "127.0.0.1", "PGPORT": "{port}", "PGUSER": "dsn_role", "PGDATABASE": "dsn_db"}),
    ("postgresql://dsn_role@/dsn_db?port={port}", {}),
    (DSN, {"PGSSLMODE": "x"}),
    (DSN, {"PGCONNECT_TIMEOUT": "x"}),
    (DSN, {"PGAPPNAME": "x"}),
    (DSN, {"PGOPTIONS": "-c no_such=1"}),
    (DSN, {"PGTARGETSESSIONATTRS": "standby"}),
    (DSN, {"PGREQUIRESSL": "0"}),
    (DSN, {"PGPORT": "1", "PGHOST": "nowhere", "PGUSER": "x", "PGDATABASE": "x", "PGPASSWORD": "x"}),
]
# Understood by psql alone.
REFUSED = {
    "require_auth": "scram-sha-256",
    "min_protocol_version": "3.2",
    "sslsni": "0",
}
# Understood here alone: psql knows it from Postgres 19 on.
NEWER = "service=whole servicefile={home}/.pg_service.conf"


@dataclass(frozen=True)
class Place:
    """A server, and the home of somebody who has a password file and services."""

    port: str
    home: Path

    def filled(self, text: str) -> str:
        for name, fact in {**WRITTEN, "port": self.port, "home": str(self.home)}.items():
            text = text.replace(f"{{{name}}}", fact)
        return text

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        return {"HOME": str(self.home), **{name: self.filled(value) for name, value in more.items()}}


@pytest.fixture(scope="module")
async def place(postgres: ReachablePostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    made = Place(str(urlsplit(postgres.dsn()).port), tmp_path_factory.mktemp("home"))
    password = PASSWORD.replace("'", "''")
    await execute(postgres.dsn(), f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'")
    for database in (DATABASE, READ_ONLY):
        postgres.create_database(database)
    await execute(postgres.dsn(), f"ALTER DATABASE {READ_ONLY} SET default_transaction_read_only = on")
    (made.home / "system").mkdir()
    for file, text in {
        ".pg_service.conf": SERVICES,
        "system/pg_service.conf": SERVICES,
        "other.conf": "[other]\n",
        ".pgpass": PASSWORDS,
        "open": PASSWORDS,
        "second": f"*:*:*:*:{WRITTEN['in_file']}\r\n",
    }.items():
        (made.home / file).write_bytes(made.filled(text).encode())
        (made.home / file).chmod(0o644 if file == "open" else 0o600)
    yield made
    for database in (DATABASE, READ_ONLY):
        postgres.drop_database(database)
    await execute(postgres.dsn(), f"DROP ROLE {ROLE}")


async def ask(dsn: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What we are answered."""
    for variable in filter(None, ENVIRONMENT.values()):
        monkeypatch.delenv(variable, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        async with connect("The source", dsn) as connection:
            return Answer(str(await connection.fetchval(QUESTION)))
    except TotesysError as error:
        return Answer(None, str(error))


async def both_do_the_same(place: Place, monkeypatch: pytest.MonkeyPatch, dsn: str, more: dict[str, str]) -> None:
    dsn, environment = place.filled(dsn), place.environment(more)
    theirs, ours = ask_psql(dsn, environment), await ask(dsn, environment, monkeypatch)
    # Each calls itself by its own name.
    assert ours.said == (theirs.said and theirs.said.replace("(psql)", "(totesys)")), (dsn, theirs.error, ours.error)
    for secret in (PASSWORD, *WRITTEN.values()):
        assert secret not in ours.error


def test_every_parameter_of_libpq_is_in_the_table() -> None:
    assert {name: variable for name, variable in ENVIRONMENT.items() if name != "servicefile"} == parameters_of_libpq()


@pytest.mark.parametrize("dsn", [*SYNTAX, *SEVERAL])
async def test_a_dsn_is_read_as_psql_reads_it(place: Place, monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    await both_do_the_same(place, monkeypatch, dsn, {})


@pytest.mark.parametrize("value", VALUES)
async def test_a_parameter_has_the_values_that_psql_takes(
    place: Place, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    await both_do_the_same(place, monkeypatch, f"{DSN}?{value}", {})


@pytest.mark.parametrize(("dsn", "more"), ENVIRONMENTS)
async def test_services_password_files_and_the_environment_count_as_for_psql(
    place: Place, monkeypatch: pytest.MonkeyPatch, dsn: str, more: dict[str, str]
) -> None:
    await both_do_the_same(place, monkeypatch, dsn, more)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_driver_cannot_do_is_refused_by_name(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dsn = place.filled(f"{DSN}?{name}={REFUSED[name]}")
    assert ask_psql(dsn, place.environment({})).said is not None
    with pytest.raises(SettingsError, match=f"The DSN of the source is invalid: {name}.* not supported"):
        async with connect("The source", dsn):
            pass


async def test_a_service_file_may_be_named_in_the_dsn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    said = await ask(place.filled(NEWER), {"HOME": "/nowhere"}, monkeypatch)
    assert said.said == f"{ROLE}@{DATABASE} (totesys)"


async def test_what_a_dsn_says_of_its_session_holds_unless_the_pipeline_needs_another(place: Place) -> None:
    asked = "application_name=shop&options=-c%20work_mem%3D1MB%20-c%20DateStyle%3DGerman&client_encoding=latin1"
    async with connect("The source", place.filled(f"{DSN}?{asked}")) as connection:
        names = ("application_name", "work_mem", "DateStyle", "client_encoding")
        said = [await connection.fetchval("SELECT current_setting($1)", name) for name in names]
    assert said == ["shop", "1MB", "ISO, YMD", "UTF8"]


async def test_keepalives_are_the_dsns(place: Place) -> None:
    asked = "keepalives_idle=7&keepalives_interval=8&keepalives_count=9&tcp_user_timeout=12345"
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    async with connect("The source", place.filled(f"{DSN}?{asked}")) as connection:
        used = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert [used.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [7, 8, 9, 12345]
    async with connect("The source", place.filled(f"{DSN}?keepalives=0")) as connection:
        used = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert not used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_host_that_is_silent_is_given_up_after_the_dsns_time_for_the_next(place: Place) -> None:
    async with silent_server() as port:
        dsn = place.filled(f"{URL}127.0.0.1:{port},{PLACE}/dsn_db?connect_timeout=1")
        async with connect("The source", dsn) as connection:
            assert await connection.fetchval("SELECT current_database()") == DATABASE
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            async with connect("The source", place.filled(f"{URL}127.0.0.1:{port}/dsn_db?connect_timeout=1")):
                pass


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def text_of(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=10).map("".join)


@given(
    st.one_of(
        text_of("host", "port", "password", "=", "=", "'", "\\", " ", "\t", "a", "\n", "requiressl", "x").map(
            "host={}".format
        ),
        text_of("a", "b:", "/", "@", "?", "&", "=", "%20", "%", "[", "]", ",", ":", " ", "\n", "host", "é").map(
            "postgresql://{}".format
        ),
    )
)
@example("postgresql://[::1]x/d")
@example("postgresql://u:p#a?b@h/d?ssl=true")
@example("host='a'port=1")
def test_libpq_reads_the_same_parameters(dsn: str) -> None:
    ours: dict[str, bytes] | None
    try:
        ours = {name: value.encode() for name, value in parse(dsn).items()}
    except DsnError as error:
        # libpq takes any bytes; a name that is not UTF-8 is no name here.
        ours = parsed_by_libpq(dsn) if "UTF-8" in str(error) else None
    assert ours == parsed_by_libpq(dsn)
