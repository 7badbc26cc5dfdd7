"""Reports besides the terminal: times, badge, summary of a CI job; and the comparison of two reports."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import run_conformance

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

BROKEN = (
    *("--launch", f"{sys.executable} -m reference_server --port 0"),
    *("--class", "virtual-clock", "--class", "queue-http", "--clause", "CLOCK-1"),
)
GOOD = ("--class", "queue-http", "--clause", "CLOCK-1")


@pytest.fixture(scope="module")
def reports(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a report in which CLOCK-1 holds, and of one in which it is broken."""
    folder = tmp_path_factory.mktemp("reports")
    held = run_conformance(server_url, *GOOD, "--report", str(folder / "held"))
    broke = run_conformance(*BROKEN, "--report", str(folder / "broke"))
    assert (held.returncode, broke.returncode) == (0, 1), held.stdout + broke.stdout
    return folder / "held", folder / "broke"


def test_junit_has_the_times_of_the_tests(conformance: Command, server_url: str, tmp_path: Path) -> None:
    """Every case that was judged took some time, and the cases together no more than all tests."""
    ended = conformance(
        *(server_url, "--class", "stomp-1.2", "--clause", "STOMP-CONNECT", "--clause", "STOMP-SEND"),
        *("--effort", "quick", "--report", str(tmp_path), "--durations", "3"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    root = ET.parse(tmp_path / "junit.xml").getroot()
    judged = [case for case in root.iter("testcase") if case.find("skipped") is None]
    times = [float(case.get("time", 0)) for case in judged]
    assert len(times) > 5
    assert max(times) > 0
    assert sum(time > 0 for time in times) > len(times) / 2
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert sum(times) <= sum(test["seconds"] for test in document["tests"]) + 0.001 * len(times)
    listed = re.findall(r"^ +(\d+\.\d\d) s  stomp-1\.2  (\S+)", ended.stdout, re.MULTILINE)
    assert len(listed) == 3
    assert [float(seconds) for seconds, _ in listed] == [
        pytest.approx(test["seconds"], abs=0.006) for test in document["tests"][:3]
    ]
    assert "The 3 slowest tests of" in ended.stdout


def test_a_badge_says_what_the_run_came_to(reports: tuple[Path, Path]) -> None:
    held, broke = (json.loads((folder / "badge.json").read_text("utf-8")) for folder in reports)
    assert held == {
        "schemaVersion": 1,
        "label": "STOMP conformance",
        "message": "conforming, 1 requirement",
        "color": "brightgreen",
        "isError": False,
    }
    assert (broke["message"], broke["color"]) == ("not conforming, 1 requirement broken", "red")


def test_a_ci_job_gets_a_summary(conformance: Command, tmp_path: Path) -> None:
    """The summary is appended, since other steps of the job write to the same file."""
    summary = tmp_path / "summary.md"
    summary.write_text("earlier\n")
    ended = conformance(*BROKEN, GITHUB_STEP_SUMMARY=str(summary))
    assert ended.returncode == 1
    text = summary.read_text("utf-8")
    assert text.startswith("earlier\n## Conformance of ")
    assert "NOT CONFORMING" in text
    assert re.search(r"^\| `CLOCK-1` MUST \| queue-http \|", text, re.MULTILINE)


def test_a_summary_that_cannot_be_written_changes_no_status(conformance: Command, server_url: str) -> None:
    ended = conformance(server_url, *GOOD, GITHUB_STEP_SUMMARY="/proc/no-such-file")
    assert ended.returncode == 0, ended.stderr
    assert "GITHUB_STEP_SUMMARY" in ended.stderr


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_comparison_tells_what_broke(conformance: Command, reports: tuple[Path, Path], form: str) -> None:
    held, broke = reports
    ended = conformance("compare", str(held / "report.json"), str(broke), "--format", form)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "CLOCK-1" in ended.stdout
    assert "Broke (1)" in ended.stdout
    assert (form == "html") == ended.stdout.startswith("<!doctype html>")


def test_a_comparison_tells_what_was_mended(conformance: Command, reports: tuple[Path, Path]) -> None:
    held, broke = reports
    ended = conformance("compare", str(broke), str(held))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Mended (1)" in ended.stdout
    assert "NOTHING BROKE, 1 mended" in ended.stdout


def test_a_report_with_a_mark_of_its_order_of_octets(
    conformance: Command, reports: tuple[Path, Path], tmp_path: Path
) -> None:
    """Editors and shells of Windows put U+FEFF before a text."""
    held, _ = reports
    file = tmp_path / "saved.json"
    file.write_text((held / "report.json").read_text("utf-8"), "utf-8-sig")
    assert conformance("compare", str(held), str(file)).returncode == 0


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"format": 2}', '{"format": 1}'])
def test_what_is_no_report_is_wrong_usage(
    conformance: Command, reports: tuple[Path, Path], tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "other.json"
    if content is not None:
        file.write_text(content)
    ended = conformance("compare", str(reports[0]), str(file))
    assert ended.returncode == 2
    assert str(file) in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_table_of_brokers_is_written_as_two_pages(
    conformance: Command, reports: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "brokers.md"
    ended = conformance("compare", "--page", str(page), *map(str, reports))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| `CLOCK-1` MUST |" in page.read_text("utf-8")
    assert "CLOCK-1" in page.with_suffix(".html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one"], "expected two reports, found 1; a table of brokers is made by --page"),
        (["one", "two", "--notes", "n.toml"], "expected --page FILE.md, too"),
        (["one", "--page", "page.html"], "expected a name that ends in .md"),
        (["none", "--page", "page.md"], "none"),
    ],
)
def test_wrong_usage_of_a_table_of_brokers_is_told(conformance: Command, words: list[str], said: str) -> None:
    ended = conformance("compare", *words)
    assert ended.returncode == 2
    assert said in ended.stderr
