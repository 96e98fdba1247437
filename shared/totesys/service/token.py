"""The token that guards what triggers work."""

import secrets

from pydantic import SecretStr


def is_token(given: bytes, token: SecretStr) -> bool:
    """Whether `given` is the token. The time it takes reveals nothing about the token."""
    return secrets.compare_digest(given, token.get_secret_value().encode())
