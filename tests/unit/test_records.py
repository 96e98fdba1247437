"""Records have a version of their shape, which changes when the shape does."""

import json
from hashlib import sha256

from totesys.lake import records
from totesys.lake.records import SCHEMA_VERSION, Record

# The shape of all records, version by version. What every reader needs, because it has no default, takes a new first
# number.
SHAPES = {"1.2": "ca0eb62bf0de8e5d", "1.3": "a759fa011e076e05"}


def test_the_version_of_records_changes_when_their_shape_does() -> None:
    kinds = {name: kind for name, kind in vars(records).items() if isinstance(kind, type) and issubclass(kind, Record)}
    shape = json.dumps({name: kind.model_json_schema() for name, kind in sorted(kinds.items())}, sort_keys=True)
    digest = sha256(shape.encode()).hexdigest()[:16]
    assert SHAPES.get(SCHEMA_VERSION) == digest, f"raise SCHEMA_VERSION, and note {digest} for it here"
