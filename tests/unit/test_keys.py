"""The keys of the lake are the documented ones, can be parsed back, and sort as runs do."""

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.lake import keys

RUNS = st.integers(1, 99_999_999)
RECORDS = st.sampled_from([keys.MANIFEST, keys.EMPTY, keys.LOAD, keys.failure_name("transform")])


@examples(100)
@given(run=RUNS, name=RECORDS)
def test_a_records_key_has_its_run_and_name(run: int, name: str) -> None:
    assert keys.parse_record_key(keys.record_key(run, name)) == (run, name)


@examples(300)
@given(key=st.text() | st.text("runs/=0123²٣manifest.json").map(lambda text: f"runs/run={text}"))
def test_any_other_key_has_no_run(key: str) -> None:
    found = keys.parse_record_key(key)
    if found is not None:
        run, name = found
        assert key.startswith(keys.RUNS)
        assert key.endswith(f"/{name}")
        assert run >= 0


def test_a_folder_whose_number_has_other_digits_is_not_a_run() -> None:
    assert keys.parse_record_key("runs/run=²/manifest.json") is None
    assert keys.parse_record_key("runs/run=٣/manifest.json") is None
    assert keys.parse_record_key("runs/run=/manifest.json") is None
    assert keys.parse_record_key("runs/run=00000001/") is None
    assert keys.parse_record_key("sales/run=00000001/manifest.json") is None


@examples(200)
@given(one=RUNS, other=RUNS, name=RECORDS)
def test_records_after_a_run_are_those_of_later_runs(one: int, other: int, name: str) -> None:
    assert (keys.record_key(other, name) > keys.after_run(one)) == (other > one)


@examples(100)
@given(one=RUNS, other=RUNS, part=st.integers(0, 99_999), other_part=st.integers(0, 99_999))
def test_parts_sort_by_run_and_number(one: int, other: int, part: int, other_part: int) -> None:
    first, second = (keys.part_key("sales", "t", *place, "csv") for place in ((one, part), (other, other_part)))
    assert (first < second) == ((one, part) < (other, other_part))


def test_keys_are_the_documented_ones() -> None:
    assert keys.part_key("sales", "design", 42, 0, "csv") == "sales/design/run=00000042/part-00000.csv"
    assert keys.quarantine_key("sales", "fact", 42, 1) == "quarantine/sales/fact/run=00000042/part-00001.parquet"
    assert keys.record_key(42, keys.MANIFEST) == "runs/run=00000042/manifest.json"
