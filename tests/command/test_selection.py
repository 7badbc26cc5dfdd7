"""Selection of clauses on the command line: unknown ids, and clauses that are left out."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from conformance.command.clause_ids import check_ids
from conformance.specification import schemas
from conformance.specification.clauses import book

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command


@pytest.mark.parametrize(
    ("given", "said", "unsaid"),
    [
        (
            "STOMP-CONNECT-00",
            ["a prefix ends where a part", "STOMP-CONNECT-001", "STOMP-CONNECT selects"],
            "none begins",
        ),
        ("STOMP-CON", ["a prefix ends where a part", "STOMP-CONNECT"], "none begins"),
        ("ACK-O", ["a prefix ends where a part", "ACK-OK"], "none begins"),
        ("STMP", ["none begins so", "STOMP"], "part of the id"),
        ("STOMP-CONECT-001", ["none begins so", "STOMP-CONNECT-001"], "part of the id"),
        ("ack-ok-1", ["ACK-OK-1 selects 1 clause."], "Near it"),
        ("ACK-*", ["ACK selects"], "Near it"),
        ("zzz", ["none begins so", "--list-clauses"], "Near it"),
        ("", ["none begins so"], "Near it"),
        ("-", ["none begins so"], "Near it"),
        ("ACK,POLL", ["one id each time, as in --clause ACK --clause POLL."], "none begins"),
        ("ack-ok-1; poll", ["as in --clause ACK-OK-1 --clause POLL."], "none begins"),
        ("ACK,NOPE", ["none begins so"], "each time"),
    ],
)
def test_an_unknown_id_gets_the_right_reason_and_the_nearest_ids(
    given: str, said: list[str], unsaid: str
) -> None:
    with pytest.raises(ValueError, match="--clause") as error:
        check_ids("--clause", [given], book())
    assert all(text in str(error.value) for text in said), error.value
    assert unsaid not in str(error.value)


@pytest.mark.parametrize("clause", ["ACK-OK-1", "ACK-OK", "ACK", "ACK-", "STOMP-CONNECT-001"])
def test_ids_and_whole_prefixes_are_taken(clause: str) -> None:
    check_ids("--clause", [clause], book())


@pytest.mark.parametrize("more", [("--clause",), ("--exclude",), ("--list-clauses", "--clause")])
def test_an_unknown_id_is_wrong_usage(conformance: Command, more: tuple[str, ...]) -> None:
    ended = conformance("ws://127.0.0.1:1/", *more, "STOMP-CONNECT-00")
    assert ended.returncode == 2
    assert more[-1] in ended.stderr
    assert "STOMP-CONNECT-001" in ended.stderr


def test_excluded_clauses_are_told_as_such(conformance: Command, server_url: str, tmp_path: Path) -> None:
    """An excluded clause has its own mark, list and member of the report, and none of its tests runs."""
    ended = conformance(
        server_url,
        *("--clause", "STOMP-CONNECT", "--class", "stomp-1.2", "--report", str(tmp_path), "--verbose"),
        *("--exclude", "STOMP-CONNECT-002", "--exclude", "STOMP-CONNECT-003"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "· excluded" in ended.stdout
    assert "Excluded by --exclude" in ended.stdout
    assert "2 clauses were excluded" in " ".join(ended.stdout.split())
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert not schemas.problems("report", document)
    excluded = {verdict["clause"] for verdict in document["verdicts"] if verdict["excluded"]}
    assert excluded == {"STOMP-CONNECT-002", "STOMP-CONNECT-003"}
    assert all(
        (verdict["kind"], verdict["asserted"]) == ("skipped", 0)
        for verdict in document["verdicts"]
        if verdict["excluded"]
    )
    assert any(verdict["kind"] == "pass" for verdict in document["verdicts"])
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "junit.xml").iter("testcase")}
    skipped = cases["STOMP-CONNECT-002"].find("skipped")
    assert skipped is not None
    assert "excluded" in skipped.get("message", "")
    assert "Excluded by the user" in (tmp_path / "report.html").read_text("utf-8")


def test_to_exclude_all_that_is_selected_is_inconclusive(conformance: Command, server_url: str) -> None:
    ended = conformance(server_url, "--clause", "STOMP-CONNECT-001", "--exclude", "STOMP-CONNECT")
    assert ended.returncode == 4
    assert "--exclude STOMP-CONNECT" in ended.stderr
