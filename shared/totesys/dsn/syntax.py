"""The two forms of a DSN, parsed as libpq does: a URL, or keywords with values. Pure."""

import re
from urllib.parse import unquote_to_bytes

from totesys.dsn.parameters import BLANKS, FORM, KNOWN, DsnError

_SCHEMES = ("postgresql://", "postgres://")
_PAIR = re.compile(
    r"\s*(?P<name>[^=\s]*)\s*"
    # A value is quoted, or ends at white space. A backslash escapes the next character.
    r"(?:(?P<equals>=)\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)(?P<end>'?)|(?P<plain>(?:[^\s\\]|\\.|\\$)*)))?",
    re.ASCII | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
_SECRETS = {"password", "sslpassword"}


def parse(dsn: str) -> dict[str, str]:
    """The parameters in a DSN. Raises DsnError."""
    if "\0" in dsn:
        raise DsnError("it contains a NUL character")
    if dsn.startswith(_SCHEMES):
        return _url(dsn.partition("//")[2])
    if "=" not in dsn:
        raise DsnError(f"it is neither a URL nor keywords with values. {FORM}")
    return _keywords(dsn)


def _keywords(dsn: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position, previous = 0, ""
    while dsn[position:].strip(BLANKS):
        pair = _PAIR.match(dsn, position)
        assert pair is not None
        name, quoted, plain = pair["name"], pair["quoted"], pair["plain"]
        if not pair["equals"]:
            raise DsnError('a keyword is not followed by "=". Put values that contain spaces in single quotes')
        if quoted is not None and not pair["end"]:
            raise DsnError("a quoted value is not terminated")
        # After a password with a space, its rest looks like a name.
        _store(found, name, _ESCAPED.sub(r"\1", plain if quoted is None else quoted), previous not in _SECRETS)
        position, previous = pair.end(), name
    return found


def _url(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    # A / ends the part with the password.
    if "@" in text.partition("/")[0]:
        login, _, text = text.partition("@")
        user, _, password = login.partition(":")
        found |= _decoded_parts(user=user, password=password)
    # After a / in a password, its rest may look like a parameter.
    may_show = "@" not in text
    place, _, query = text.partition("?")
    hosts, _, database = place.partition("/")
    names, ports = zip(*(_host_and_port(host) for host in hosts.split(",")), strict=True)
    found |= _decoded_parts(host=",".join(names), port=",".join(ports), dbname=database)
    while query:
        parameter, _, query = query.partition("&")
        name, equals, value = parameter.partition("=")
        if not equals or "=" in value:
            raise DsnError('the part after "?" is not name=value&name=value, with %3D for a = in a value')
        name, value = _decoded(name), _decoded(value)
        if (name, value) == ("ssl", "true"):  # the form of JDBC
            name, value = "sslmode", "require"
        _store(found, name, value, may_show)
    return found


def _store(found: dict[str, str], name: str, value: str, may_show: bool) -> None:
    if name == "requiressl":  # sslmode in Postgres 7
        name, value = "sslmode", "require" if value.startswith("1") else "prefer"
    if name not in KNOWN:
        shown = f" called {name}" if may_show and re.fullmatch("[a-z_]+", name) else ""
        raise DsnError(f"it has a parameter{shown} that Postgres does not know")
    found[name] = value


def _host_and_port(text: str) -> tuple[str, str]:
    if not text.startswith("["):
        host, _, port = text.partition(":")
        return host, port
    host, bracket, rest = text[1:].partition("]")
    if not (bracket and host) or rest[:1] not in ("", ":"):
        raise DsnError("an IPv6 address must be written as [address] or [address]:port")
    return host, rest[1:]


def _decoded_parts(**parts: str) -> dict[str, str]:
    return {name: _decoded(part) for name, part in parts.items() if part}


def _decoded(part: str) -> str:
    part = part.strip(" ")
    if " " in part:
        raise DsnError("it contains a space, which must be written as %20 in a URL")
    if re.search("%(?![0-9A-Fa-f]{2})|%00", part):
        raise DsnError("it contains an invalid percent-encoding. Write %25 for a %")
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise DsnError("its percent-encoding is not UTF-8") from None
