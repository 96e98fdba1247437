"""Who may press a button: this page's own form, with the token where one is set. Pure."""

from collections.abc import Mapping

from pydantic import SecretStr

from totesys.service.csrf import site_fault
from totesys.service.token import is_token


def form_fault(headers: Mapping[str, str]) -> str | None:
    """Why a request is not one that this page's own form makes; None if it is."""
    if "sec-fetch-site" not in headers and "origin" not in headers:
        return "The browser does not say which site has asked for this. From a script, use POST /trigger."
    return site_fault(headers)


def token_fault(given: str, token: SecretStr | None) -> str | None:
    """What is wrong with the token of a form; None if it is right, or none is set."""
    if not token or is_token(given.strip().encode(errors="replace"), token):
        return None
    return "This is not the trigger token." if given.strip() else "Give the trigger token."
