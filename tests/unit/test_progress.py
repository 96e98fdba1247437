"""How far a call is, where there is no terminal: lines, and not too many."""

import pytest

from totesys_cli import progress


def test_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(2) as steps:
        steps.step("[red]run 1")
        steps.step("run 2")
    assert capsys.readouterr().err == "1 of 2  [red]run 1\n2 of 2  run 2\n"


def test_of_many_quick_steps_few_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(1000, every=3600) as steps:
        for number in range(1000):
            steps.step(str(number))
    with progress.going_on(None) as tell:
        for number in range(1000):
            tell(f"{number} rows")
    assert capsys.readouterr().err == "0 s  0 rows\n"
