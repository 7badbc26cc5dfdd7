"""The README says what was measured and what is counted, and nothing else."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from tests.figures import on_kafka
from tests.figures.__main__ import README, main
from tests.figures.counts import counted
from tests.figures.rendering import BadReadme, rendered
from tests.figures.store import measured, own_command, record
from tests.figures.summaries import of_mutants

if TYPE_CHECKING:
    from pathlib import Path


def test_the_readme_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.figures` brings it up to date."""
    status = main(["--check"])
    difference = capsys.readouterr().out
    assert status == 0, f"run python -m tests.figures\n{difference}"


def test_a_difference_is_shown_and_can_be_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check writes nothing; the same command without it does."""
    readme = tmp_path / "README.md"
    present = README.read_text("utf-8")
    outdated = present.replace("window 64", "window 63")
    readme.write_text(outdated, "utf-8")
    assert main(["--check"], readme) == 1
    printed = capsys.readouterr().out
    assert any(line.startswith("-") and "window 63" in line for line in printed.splitlines())
    assert any(line.startswith("+") and "window 64" in line for line in printed.splitlines())
    assert readme.read_text("utf-8") == outdated
    assert main([], readme) == 0
    assert readme.read_text("utf-8") == present


@pytest.mark.parametrize("readme", ["no section", "<!-- figures: speed -->\n<!-- end of figures -->\n"])
def test_a_section_must_not_be_missing(readme: str) -> None:
    """A README without one of the sections is refused."""
    with pytest.raises(BadReadme, match="expected: verdicts, speed"):
        rendered(readme, measured(), counted())


def test_the_page_on_kafka_has_its_figures() -> None:
    """Ratios of one run; without a measurement the section is empty, and without a section the page is refused."""
    page = "<!-- figures: kafka -->\nold\n<!-- end of figures -->\n"
    assert "old" not in on_kafka.rendered(page, {})
    figures = {"cores": 2, "window": 64, "rounds": 5, "of bare": 0.5, "of one": 1.25, "poll ms": 2.5}
    figures |= {"of bare range": [0.25, 0.75], "of one range": [1, 2]}
    seen = {"commit": "abc", "day": "2026-01-01"}
    memory = {"figures": {"records": 1000, "peak MB": 99.6}, **seen}
    text = on_kafka.rendered(page, {"kafka": {"figures": figures, **seen}, on_kafka.MEMORY: memory})
    for expected in ("0.50 (0.25 to 0.75)", "1.25 (1.00 to 2.00)", "2.5 ms", "100 MB", "1,000 records"):
        assert expected in text
    with pytest.raises(BadReadme):
        on_kafka.rendered("no section", {})


def test_other_figures_give_other_words() -> None:
    """A fault that was missed is not hidden."""
    document = measured()
    document["mutants"]["figures"] |= {"caught": 584, "named": 583, "faults": 585, "median_clauses": 2}
    counts = dataclasses.replace(counted(), faults=4321)
    text = rendered(README.read_text("utf-8"), document, counts)
    assert "4321 brokers with one seeded fault" in text
    assert "584 of 585, 583 on their clause" in text
    assert "half of them failing 2 clauses at most" in text


def test_a_record_replaces_its_measurement_only(tmp_path: Path) -> None:
    """Figures come with commit, day and command."""
    path = tmp_path / "figures.json"
    record("one", {"found": 1}, "first", path)
    record("two", {"found": 2}, "second", path)
    record("one", {"found": 3}, "third", path)
    document = measured(path)
    assert list(document) == ["one", "two"]
    assert document["one"]["figures"] == {"found": 3}
    assert document["one"]["command"] == "third"
    assert document["two"]["figures"] == {"found": 2}
    assert all(measurement["commit"] for measurement in document.values())
    assert all(dt.date.fromisoformat(measurement["day"]) for measurement in document.values())


def test_every_measurement_says_where_it_is_from() -> None:
    """The file has one form."""
    for measurement in measured().values():
        assert set(measurement) == {"figures", "commit", "day", "command"}


def test_the_own_command_has_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command can be run again."""
    monkeypatch.setattr("sys.argv", ["/a/path", "1000", "--jobs", "2"])
    assert own_command("tests.history.legal") == "python -m tests.history.legal 1000 --jobs 2"


def test_the_tables_of_mutants_are_summed_up() -> None:
    """Caught and named faults, the median of failed clauses, and odd brokers that were left alone."""
    fault = {"caught": True, "named": True, "found": ["A-1"]}
    faults = [
        fault,
        fault | {"named": False, "found": ["B-1", "B-2"]},
        {"caught": False, "named": False, "found": []},
    ]
    variants = [{"left_alone": True}, {"left_alone": False}]
    assert of_mutants({"faults": faults, "variants": variants}) == {
        "faults": 3,
        "caught": 2,
        "named": 1,
        "median_clauses": 1.5,
        "variants": 2,
        "left_alone": 1,
    }


def test_the_counts_are_those_of_the_tree() -> None:
    """Each of them is above zero, and some clauses can't be judged."""
    counts = counted()
    assert all(count > 0 for count in dataclasses.astuple(counts))
    assert counts.judged_clauses < counts.clauses
    assert counts.hard_faults < counts.faults
