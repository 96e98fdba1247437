"""The shape of the lake's records has a version, which changes with the shape."""

import json
from hashlib import sha256
from typing import Any

from totesys.lake import records
from totesys.lake.records import SCHEMA_VERSION, Record

# The shape of all records by version. A field without a default, which every reader needs, takes a new first number.
SHAPES = {"1.4": "69887e55eb7e4d1f"}


def without_descriptions(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_descriptions(value) for key, value in schema.items() if key != "description"}
    return [without_descriptions(value) for value in schema] if isinstance(schema, list) else schema


def test_the_version_of_records_changes_when_their_shape_does() -> None:
    kinds = {name: kind for name, kind in vars(records).items() if isinstance(kind, type) and issubclass(kind, Record)}
    shape = json.dumps(
        {name: without_descriptions(kind.model_json_schema()) for name, kind in sorted(kinds.items())}, sort_keys=True
    )
    digest = sha256(shape.encode()).hexdigest()[:16]
    assert SHAPES.get(SCHEMA_VERSION) == digest, f"raise SCHEMA_VERSION, and note {digest} for it here"
