"""Output of the command: reports, lists, help; and the suite on pytest's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from conformance.specification import schemas
from conformance.specification.clauses import CLASSES
from tests.command.conftest import COMMAND_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")


def test_reports_are_written(conformance: Command, server_url: str, tmp_path: Path) -> None:
    ended = conformance(server_url, *CLAUSE, "--report", str(tmp_path / "made"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document = json.loads((tmp_path / "made" / "report.json").read_text("utf-8"))
    assert not schemas.problems("report", document)
    assert [verdict["clause"] for verdict in document["verdicts"]] == ["STOMP-CONNECT-001"]
    assert ET.parse(tmp_path / "made" / "junit.xml").getroot().tag == "testsuites"
    assert "report.json" in ended.stdout


def test_two_runs_on_one_server_say_the_same(conformance: Command, server_url: str, tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        conformance(
            server_url,
            "--clause",
            "ACK",
            "--class",
            "queue-http",
            "--effort",
            "quick",
            "--report",
            str(tmp_path / name),
        )
        document = json.loads((tmp_path / name / "report.json").read_text("utf-8"))
        found.append({(v["clause"], v["binding"]): v["kind"] for v in document["verdicts"]})
    assert found[0] == found[1]
    assert found[0]


def test_targets_are_listed(conformance: Command) -> None:
    ended = conformance("--list-targets")
    assert ended.returncode == 0
    assert "rabbitmq" in ended.stdout


def test_clauses_are_listed(conformance: Command) -> None:
    ended = conformance("--list-clauses", "--clause", "ACK-OK")
    assert ended.returncode == 0
    assert "ACK-OK-1: " in ended.stdout
    assert "POLL" not in ended.stdout.split("ACK-OK-1: ")[0]


def test_help_names_every_class_and_status(conformance: Command) -> None:
    ended = conformance("--help")
    assert ended.returncode == 0
    assert all(name in ended.stdout for name in CLASSES)
    assert "inconclusive" in ended.stdout


def test_pytest_runs_the_suite_as_a_plugin(server_url: str) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "conformance"),
            *("--stompliance-url", server_url, "--stompliance", " ".join(CLAUSE)),
        ],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd="/",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "STOMP-CONNECT-001" in ended.stdout


def test_pytest_without_a_server_says_what_it_needs() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "conformance"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd="/",
    )
    assert ended.returncode == 2
    assert "--stompliance-url" in ended.stderr + ended.stdout
