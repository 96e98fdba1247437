"""The DSN of another role is the same database, however the DSN is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.dsn.syntax import parse
from totesys_cli.local.local_databases import LoginRole

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
OWNERS = (
    "postgresql://owner:secret@h:5433/db",
    "postgresql://owner@h1,h2:7/db?sslmode=require",
    "host=h port=5433 dbname='a b' user=owner password='s e\\'c'",
    "service=totesys",
    "postgresql:///db?host=/run/postgresql",
    "postgresql://h/db?secret=arn",
    "host=h dbname=db iam=true",
)


@pytest.mark.parametrize("owner", OWNERS)
@examples(50)
@given(name=TEXT.filter(bool), password=TEXT)
def test_only_the_login_changes(owner: str, name: str, password: str) -> None:
    found = parse(LoginRole(name, password).dsn(owner))
    assert (found.pop("user"), found.pop("password")) == (name, password)
    login = {"user", "password", "secret", "iam"}
    assert found == {key: value for key, value in parse(owner).items() if key not in login}
