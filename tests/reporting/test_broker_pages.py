"""Pages that compare brokers, and what they are made of."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from conformance.reporting import broker_html, broker_markdown, columns, json_report
from conformance.reporting.broker_html import TooLarge
from conformance.reporting.broker_notes import BadNotes, check_notes, read_notes
from conformance.reporting.changes import BadReport
from conformance.reporting.columns import Clause, read_columns
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Key, Tally
from tests.reporting import samples
from tests.reporting.samples import BOOK, META, TARGET

if TYPE_CHECKING:
    from pathlib import Path

MUST, SHOULD = "ACCOUNT-OPEN-1", "ACCOUNT-PAY-2"


def report(*, url: str = "ws://127.0.0.1/ws", **kinds: str) -> dict[str, Any]:
    """Report with a verdict for each clause that is named with `_` for `-`: kept, broken or blocked in two bindings."""
    keys = {
        Key(clause.replace("_", "-"), binding): kind for clause, kind in kinds.items() for binding in BINDINGS
    }
    tallies = {
        key: Tally(broken=1, failures=[samples.failure(key, samples.NASTY)])
        if kind == "broken"
        else Tally(held=1)
        for key, kind in keys.items()
        if kind != "blocked"
    }
    document = json_report.build(decide(BOOK, list(keys), tallies, ()), BOOK, TARGET, META)
    document["target"]["url"] = url
    return document


BINDINGS = ("stomp-1.1", "stomp-1.2")
BROKEN = report(ACCOUNT_OPEN_1="broken", ACCOUNT_PAY_2="kept")
HELD = report(ACCOUNT_OPEN_1="kept", ACCOUNT_PAY_2="kept")
TCP = report(url="stomp://127.0.0.1:61613", ACCOUNT_OPEN_1="kept", ACCOUNT_PAY_2="broken")


def written(folder: Path, document: dict[str, Any], **about: str) -> Path:
    """Folder of a report, with `broker.json` if anything is said about the broker."""
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(document), "utf-8")
    if about:
        (folder / "broker.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two reports of one broker over WebSocket, and one of another over TCP."""
    return [
        written(tmp_path / "a", BROKEN, name="one", title="One", version="1.0"),
        written(tmp_path / "b", HELD, name="one", title="One", version="1.0"),
        written(tmp_path / "c", TCP, name="two", title="Two", version="2.0", command="python -m two"),
    ]


def test_reports_of_one_broker_and_transport_are_one_column(paths: list[Path]) -> None:
    found, clauses = read_columns(paths)
    assert [(column.id, len(column.reports)) for column in found] == [("one ws", 2), ("two tcp", 1)]
    assert [clause.id for clause in clauses] == [MUST, SHOULD]
    assert [column.state(MUST) for column in found] == ["broken", "kept"]


def test_another_version_is_another_column(paths: list[Path], tmp_path: Path) -> None:
    paths.append(written(tmp_path / "d", HELD, name="one", title="One", version="1.1"))
    found, _ = read_columns(paths)
    assert [column.version for column in found] == ["1.0", "2.0", "1.1"]


def test_a_verdict_that_differs_between_runs_is_unstable(paths: list[Path]) -> None:
    (column, _), _ = read_columns(paths)
    assert column.unstable() == [MUST]


def test_a_report_without_a_description_is_named_by_its_target(tmp_path: Path) -> None:
    (column,), _ = read_columns([written(tmp_path / "a", TCP)])
    assert (column.id, column.title, column.version) == ("sample tcp", "Sample broker 1.0", "")


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"name": 7}'])
def test_a_bad_description_counts_as_none(tmp_path: Path, content: str) -> None:
    folder = written(tmp_path / "a", HELD)
    (folder / "broker.json").write_text(content)
    (column,), _ = read_columns([folder])
    assert column.id == "sample ws"


def test_a_missing_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadReport, match="none"):
        read_columns([tmp_path / "none"])


@pytest.mark.parametrize(("word", "level"), [("MUST NOT", "MUST"), ("SHOULD", "SHOULD"), ("MAY", "MAY")])
def test_a_level_is_that_of_the_key_word(word: str, level: str) -> None:
    assert Clause("A-1", word, "", "").level == level


def page(paths: list[Path]) -> str:
    return broker_markdown.page(*read_columns(paths), [], "the command", "page.html")


def test_the_page_counts_by_chapter_what_was_judged(paths: list[Path]) -> None:
    text = page(paths)
    assert "| **all** | **1 of 2** | **1 of 2** |" in text
    assert "| ✗ MUST broken | 1 | 0 |" in text
    assert "| ≈ SHOULD not followed | 0 | 1 |" in text
    assert "the command" in text
    assert "[page.html](page.html)" in text


def test_the_page_has_a_row_for_each_clause_that_is_not_kept(paths: list[Path]) -> None:
    rows = [line for line in page(paths).splitlines() if line.startswith("| `ACCOUNT")]
    assert [row.split("|")[3:-1] for row in rows] == [[" ✗ ⇄ ", " ✓ "], [" ✓ ", " ≈ "]]


def test_the_page_names_verdicts_that_changed(paths: list[Path]) -> None:
    assert f"- `one ws`: `{MUST}`" in page(paths)
    assert "changed between two runs" not in page(paths[2:])


def test_versions_stand_behind_a_mark_that_holds_in_some() -> None:
    mixed = deepcopy(BROKEN)
    verdicts = [verdict for verdict in mixed["verdicts"] if verdict["clause"] == MUST]
    verdicts[0].update(kind="pass", failures=[])
    marks = columns._marks([mixed])
    assert broker_markdown._cell(marks[MUST]) == "✗ 1.2"


NOTE = '[[notes]]\nbroker = "one"\nkind = "security"\nclauses = ["ACCOUNT-OPEN-1"]\ntext = "It is `open`."\n'


def test_notes_are_printed_with_the_clauses_that_show_them(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.toml").write_text(NOTE)
    notes = read_notes(tmp_path / "notes.toml")
    found, clauses = read_columns(paths)
    check_notes(notes, found)
    text = broker_markdown.page(found, clauses, notes, "", "")
    assert "### One 1.0\n\n- **security**: It is `open`. (`ACCOUNT-OPEN-1`)\n" in text
    assert "It is <code>open</code>." in broker_html.page(found, clauses, notes, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (NOTE.replace('"one"', '"three"'), "about 'three', which no report is about"),
        (NOTE.replace("OPEN-1", "PAY-2"), "none of which is broken"),
        (NOTE + 'transport = "tcp"\n', "which no report is about"),
        (NOTE.replace("kind", "kinds"), "expected broker, clauses, kind, text"),
        ("[[notes]", "notes.toml"),
    ],
)
def test_a_note_that_the_reports_do_not_show_is_refused(
    paths: list[Path], tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "notes.toml").write_text(text)
    found, _ = read_columns(paths)
    with pytest.raises(BadNotes, match=told):
        check_notes(read_notes(tmp_path / "notes.toml"), found)


def test_each_bad_mark_of_the_html_leads_to_its_failure(paths: list[Path]) -> None:
    text = broker_html.page(*read_columns(paths), [], "the command")
    for number in range(2):
        assert text.count(f" href=#f{number}>") == 1
        assert text.count(f"<section id=f{number}>") == 1
    assert 'data-broker="one" data-transport="websocket"' in text
    assert 'data-v="1.1 1.2"' in text
    assert 'data-level="SHOULD"' in text


def test_what_a_broker_said_is_text_in_the_html(paths: list[Path]) -> None:
    text = broker_html.page(*read_columns(paths), [], "<script>")
    assert "<b>&amp;</b>" not in text
    assert "<script>" not in text.replace("<script>\nconst", "")
    assert not set("\x00\x1b\u202e") & set(text)
    assert "http://" not in text.replace("http://127.0.0.1", "")


def test_the_html_keeps_its_size_by_showing_less(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(broker_html.page(*read_columns(paths), [], "").encode())
    monkeypatch.setattr(broker_html, "MOST_OCTETS", whole - 1)
    assert len(broker_html.page(*read_columns(paths), [], "").encode()) < whole
    monkeypatch.setattr(broker_html, "MOST_OCTETS", 1000)
    with pytest.raises(TooLarge, match="2 columns make a page of more than 1000 octets"):
        broker_html.page(*read_columns(paths), [], "")
