"""The page's style and script, served under names that change when they do."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from fastapi import HTTPException, Response

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Asset:
    """A file, with the name that has its content's hash."""

    name: str
    body: bytes
    kind: str


def _asset(name: str) -> Asset:
    body = (files("totesys_console") / "static" / name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    return Asset(f"{stem}-{sha256(body).hexdigest()[:12]}.{suffix}", body, _KINDS[suffix])


ASSETS = {name: _asset(name) for name in ("console.css", "console.js", "docs.js", "icon.svg")}
_BY_HASHED_NAME = {asset.name: asset for asset in ASSETS.values()}


def answer(name: str) -> Response:
    """The file of this hashed name. Raises HTTPException for one that is not there."""
    asset = _BY_HASHED_NAME.get(name)
    if asset is None:
        raise HTTPException(404, f"There is no file {name}.")
    return Response(asset.body, media_type=asset.kind, headers=_FOR_EVER)
