"""An error about a DSN names its location, never its password."""

from pathlib import Path

import pytest

from totesys.connection import connect, redacted
from totesys.dsn.parameters import ENVIRONMENT, KNOWN
from totesys.errors import DatabaseUnavailable, SettingsError, TotesysError

# Each with a word of its own of what is wrong.
UNREADABLE = {
    "": "neither a URL nor keywords",
    "secret": "neither a URL nor keywords",
    "postgres//u:secret@h/db": "neither a URL nor keywords",
    "mysql://u:secret@h/db": "neither a URL nor keywords",
    "postgresql://u:sec\0ret@h/db": "NUL",
    "postgresql://u:secret@h:port/db": "its port is not a number",
    "postgresql://u:secret@127.0.0.1:99999/db": "its port is not a number from 1 to 65535",
    "postgresql://u:secret@h:1,k:2/db?port=1,2,3": "2 hosts and 3 ports",
    "postgresql://u:secret@[::1/db": "an IPv6 address",
    "postgresql://u:secret@[::1]secret/db": "an IPv6 address",
    "postgresql://u:sec ret@h/db": "%20",
    "postgresql://u:secret%@h/db": "%25",
    "postgresql://u:secret%FF@h/db": "UTF-8",
    "postgresql://u:secret/secret@127.0.0.1:1/db": "its port is not a number",
    "postgresql://u:1/secret?secretly=secret@h/db": "a parameter that Postgres does not know",
    "postgresql://u:1/secret?secret@h/db": "name=value",
    "postgresql://u:secret@h/db?sslmod=require": "a parameter called sslmod that Postgres does not know",
    "postgresql://u@h/db?password=secret=": "%3D",
    "postgresql://u:secret@@h:1/db": "an abstract socket",
    "host=127.0.0.1 password=my secret": 'a keyword is not followed by "="',
    "host=127.0.0.1 password=my secretly=x": "a parameter that Postgres does not know",
    "host=127.0.0.1 password='secret": "a quoted value is not terminated",
    "host=127.0.0.1 passwort=secret": "a parameter called passwort that Postgres does not know",
    "host=h service=nowhere password=secret": 'no service file defines the service "nowhere"',
    "host=h service=s servicefile=/nowhere password=secret": "the service file /nowhere does not exist",
    "host=h hostaddr=secret password=secret": "hostaddr is not an IP address",
    "host=h hostaddr=::1,::2 password=secret": "1 hosts and 2 addresses",
}
# What each parameter cannot be, and a word of what is said.
BAD_VALUES = {
    "sslmode": ("bogus", "sslmode is not one of disable, allow, prefer, require, verify-ca, verify-full"),
    "sslnegotiation": ("bogus", "not one of postgres, direct"),
    "sslcertmode": ("bogus", "not one of disable, allow, require"),
    "channel_binding": ("bogus", "not one of disable, prefer, require"),
    "gssencmode": ("bogus", "not one of disable, prefer, require"),
    "target_session_attrs": ("master", "not one of any, read-write, read-only, primary, standby, prefer-standby"),
    "load_balance_hosts": ("bogus", "not one of disable, random"),
    "min_protocol_version": ("4", "not one of 3.0, 3.2, latest"),
    "max_protocol_version": ("4", "not one of 3.0, 3.2, latest"),
    "ssl_min_protocol_version": ("SSLv3", "not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"),
    "ssl_max_protocol_version": ("1.3", "not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"),
    "connect_timeout": ("soon", "connect_timeout is not a whole number"),
    "keepalives": ("on", "keepalives is not a whole number"),
    "keepalives_idle": ("0", "keepalives_idle is not between 1 and 32767"),
    "keepalives_interval": ("32768", "keepalives_interval is not between 1 and 32767"),
    "keepalives_count": ("128", "keepalives_count is not between 1 and 127"),
    "tcp_user_timeout": ("2147483648", "tcp_user_timeout is not a whole number"),
    "iam": ("yes", "not one of true, false"),
    "sslrootcert": ("system&sslmode=require", "needs sslmode=verify-full"),
    "require_auth": ("md5", "require_auth is not supported"),
    "replication": ("true", "replication is not supported"),
    "scram_client_key": ("x", "scram_client_key is not supported"),
    "scram_server_key": ("x", "scram_server_key is not supported"),
    "requirepeer": ("postgres&host=/tmp", "requirepeer is not supported"),
    "sslsni": ("0", "sslsni=0 is not supported"),
}
UNREACHABLE = [
    "postgresql://u:secret@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/secret@127.0.0.1:1/db",
    "postgresql://u:secret#secret@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 password=secret",
]


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a home and without settings of libpq."""
    monkeypatch.setenv("HOME", "/nowhere")
    for variable in filter(None, ENVIRONMENT.values()):
        monkeypatch.delenv(variable, raising=False)


async def refused(dsn: str) -> str:
    with pytest.raises(SettingsError, match="The DSN of the source is invalid: ") as raised:
        async with connect("The source", dsn):
            pass
    return str(raised.value)


@pytest.mark.parametrize("dsn", UNREADABLE)
async def test_an_invalid_dsn_is_a_settings_error(dsn: str) -> None:
    said = await refused(dsn)
    assert UNREADABLE[dsn] in said
    assert "secret" not in said


@pytest.mark.parametrize("name", BAD_VALUES)
async def test_an_invalid_parameter_is_named_without_its_value(name: str) -> None:
    value, word = BAD_VALUES[name]
    for dsn in (f"postgresql://u:secret@127.0.0.1:1/db?{name}={value}", f"password=secret {name}={value}"):
        said = await refused(dsn.replace("&", " ") if "//" not in dsn else dsn)
        assert word in said
        assert "secret" not in said


NASTY = [
    "",
    " ",
    "x",
    "é",
    "\udcff",
    "\n",
    "'",
    "\\",
    "/nowhere/x",
    "/locked/x" * 40,
    "x" * 5000,
    "a..b",
    ".x",
    "-1",
    "9" * 30,
]


@pytest.mark.parametrize("name", sorted(KNOWN - {"secret", "iam", "password"}))
async def test_any_parameter_gives_an_error_of_ours_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    # Some are names of files, and OpenSSL makes one to log keys.
    monkeypatch.chdir(tmp_path)
    right = "host=127.0.0.1 port=1 user=u dbname=d password=hidden"
    for value in NASTY:
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        dsns = [f"{right} {name}='{quoted}'", f"{right} sslmode=require {name}='{quoted}'"]
        for dsn in dsns:
            with pytest.raises(TotesysError) as raised:
                async with connect("The source", dsn):
                    raise AssertionError
            assert "hidden" not in f"{raised.value} {redacted(dsn)}"
        if variable := ENVIRONMENT.get(name):
            monkeypatch.setenv(variable, value)
            with pytest.raises(TotesysError):
                async with connect("The source", "postgresql://127.0.0.1:1"):
                    raise AssertionError
            monkeypatch.delenv(variable)


async def test_a_fault_in_the_environment_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "bogus")
    assert "PGSSLMODE is not one of" in await refused("postgresql://u:secret@127.0.0.1:1/db")


@pytest.mark.parametrize("dsn", UNREACHABLE)
async def test_a_server_that_does_not_answer_is_named_without_the_password(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"The source at .* does not answer") as raised:
        async with connect("The source", dsn):
            pass
    assert "secret" not in str(raised.value)


def test_a_redacted_dsn_is_host_port_and_database() -> None:
    assert redacted("postgresql://u:secret@h:1/db") == "h:1/db"
    assert redacted("postgresql://u:secret@h/db?sslmode=require") == "h:5432/db"
    assert redacted("host=h user=u dbname=db password=secret") == "h:5432/db"
    assert redacted("postgresql://u:secret@h:1,k/db") == "h:1,k:5432/db"
    assert redacted("postgresql://u:1/secret@h/db") == "its DSN"
    assert redacted("postgresql://u:sec@ret@h/db") == "its DSN"
    assert redacted("postgresql://u:secret@h:port/db") == "its DSN"
