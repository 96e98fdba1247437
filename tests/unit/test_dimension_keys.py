"""The keys that a dimension's recorded ranges keep when a run writes some of them."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys_load.dimension_keys import remaining
from totesys_load.key_ranges import NumberRange, union

LAKES = [UUID(int=1), UUID(int=2)]
KEYS = st.integers(-20, 20)


@examples(300)
@given(
    owners=st.dictionaries(KEYS, st.tuples(st.sampled_from(LAKES), st.integers(1, 3))),
    written=st.sets(KEYS),
)
def test_a_key_that_a_run_did_not_write_stays_with_the_run_that_wrote_it_last(
    owners: dict[int, tuple[UUID, int]], written: set[int]
) -> None:
    found = []
    for owner in set(owners.values()):
        keys = union(NumberRange(key, key) for key in owners if owners[key] == owner)
        found += [(one, *owner) for one in keys]
    found.sort(key=lambda one: one[0].first)
    rest = remaining(found, union(NumberRange(key, key) for key in written))
    kept = {key: (lake, run) for keys, lake, run in rest for key in range(keys.first, keys.last + 1)}
    assert kept == {key: owner for key, owner in owners.items() if key not in written}
