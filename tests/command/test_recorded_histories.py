"""Reports hold the histories of a run, which are judged anew as the run judged them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

CONCURRENCY = ("--clause", "ACK-COMMIT-1", "--effort", "quick", "--class", "queue-http")


def test_a_conforming_run_is_judged_anew(conformance: Command, server_url: str, tmp_path: Path) -> None:
    """Each promise that a history can decide is kept in it; a later report replaces the histories of an earlier one."""
    (tmp_path / "histories").mkdir()
    (tmp_path / "histories/old.jsonl").write_text("old")
    ended = conformance(server_url, *CONCURRENCY, "--report", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (file,) = (tmp_path / "histories").iterdir()
    assert file.name == "test_concurrency__test_many_clients_at_once-queue-http.jsonl"
    assert f"Written: 1 history in {file.parent}" in ended.stdout
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count('<figure class="history">') == 1
    assert "Histories of concurrent clients" in page
    again = conformance("judge", str(file))
    assert again.returncode == 0, again.stdout
    assert "KEPT: " in again.stdout


def test_a_broken_run_is_judged_anew(conformance: Command, tmp_path: Path) -> None:
    """The anomaly of the run is found in its history, without the server."""
    broker = f"{sys.executable} -m tests.mutants.serving an-acknowledgement-commits-nothing --virtual-clock"
    ended = conformance("--launch", broker, *CONCURRENCY, "--report", str(tmp_path))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    (file,) = (tmp_path / "histories").iterdir()
    again = conformance("judge", str(file))
    assert again.returncode == 1, again.stdout
    assert "redelivery after acknowledgement (ACK-COMMIT-1)" in again.stdout
