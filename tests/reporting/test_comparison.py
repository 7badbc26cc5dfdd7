"""Comparison of reports as Markdown."""

import json

from conformance.reporting import comparison


def verdict(clause: str, binding: str, kind: str, level: str = "MUST") -> dict[str, str]:
    return {"clause": clause, "binding": binding, "kind": kind, "level": level, "text": f"{clause} | text"}


def report(name: str, *verdicts: dict[str, str]) -> dict[str, object]:
    return {"target": {"name": name}, "verdicts": list(verdicts)}


ONE = report(
    "one",
    verdict("A-1", "stomp-1.1", "pass"),
    verdict("A-1", "stomp-1.2", "fail"),
    verdict("B-1", "websocket", "pass"),
    verdict("C-1", "websocket", "blocked"),
)
OTHER = report(
    "other",
    verdict("A-1", "stomp-1.2", "pass"),
    verdict("B-1", "websocket", "pass"),
    verdict("C-1", "websocket", "deviation", "SHOULD"),
)


def test_a_clause_that_all_keep_has_no_row() -> None:
    assert "B-1" not in comparison.table([ONE, OTHER])


def test_a_cell_says_how_and_where_a_clause_is_not_kept() -> None:
    rows = {line.split("`")[1]: line for line in comparison.table([ONE, OTHER]).splitlines() if "`" in line}
    assert rows["A-1"].endswith("| ✗ 1.2 | ✓ |")
    assert rows["C-1"].endswith("| · | ≈ |")
    assert "A-1 \\| text" in rows["A-1"]


def test_the_summary_counts_clauses_not_verdicts() -> None:
    lines = comparison.table([ONE, OTHER]).splitlines()
    assert "| clauses kept | 1 | 2 |" in lines
    assert "| MUST broken | 1 | 0 |" in lines
    assert "| SHOULD not followed | 0 | 1 |" in lines


def test_reports_are_read_from_files(tmp_path, capsys) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(ONE), "utf-8")
    assert comparison.main([str(path)]) == 0
    assert "A-1" in capsys.readouterr().out


def test_a_report_that_cannot_be_read_is_said(tmp_path, capsys) -> None:
    assert comparison.main([str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
