"""`python -m conformance judge`: histories in other languages, exit statuses, reports, malformed files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.history.files import lines_of
from conformance.history.promises import PROMISES
from conformance.history.system_facts import facts_of
from tests.history.cases import BAD, GOOD, Case
from tests.spec.test_histories import EXAMPLES

if TYPE_CHECKING:
    from tests.command.conftest import Command

WRITERS = Path(__file__).parent / "writers"


def written(folder: Path, program: str, *arguments: str) -> str:
    """The name of a file that a program wrote to its standard output; the test is skipped without the program."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    ended = subprocess.run([program, *arguments], capture_output=True, check=True, timeout=60)
    path = folder / "written.jsonl"
    path.write_bytes(ended.stdout)
    return str(path)


def told(folder: Path, case: Case) -> str:
    """The name of a file with a story."""
    story = case.tell()
    path = folder / "story.jsonl"
    lines = lines_of(facts_of(story.parameters), story.history)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(path)


@pytest.mark.parametrize(("flag", "status"), [("1", 1), ("0", 0)])
def test_a_history_by_awk(conformance: Command, tmp_path: Path, flag: str, status: int) -> None:
    """A redelivery after an acknowledgement is found in a history that no line of Python has written."""
    file = written(tmp_path, "awk", "-v", f"BAD={flag}", "-f", str(WRITERS / "history.awk"))
    ended = conformance("judge", file)
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert ("redelivery after acknowledgement (ACK-COMMIT-1)" in ended.stdout) is (status == 1)
    assert ended.stderr == ""


@pytest.mark.parametrize(("word", "status"), [("bad", 1), ("good", 0)])
def test_a_history_by_javascript(conformance: Command, tmp_path: Path, word: str, status: int) -> None:
    """Two records of a partition in flight are found, with the events that prove it marked."""
    file = written(tmp_path, "node", str(WRITERS / "history.mjs"), word)
    ended = conformance("judge", file)
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert ("moved under its holder (REBALANCE-2)" in ended.stdout) is (status == 1)
    proof = [line for line in ended.stdout.splitlines() if line.startswith("    > ")]
    assert all(": poll " in line for line in proof)
    assert bool(proof) is (status == 1)


def test_the_first_example_of_the_chapter(conformance: Command, tmp_path: Path) -> None:
    """The example is judged as the chapter says; events of the proof are marked, and the report has them."""
    (tmp_path / "example.jsonl").write_text(EXAMPLES[0], "utf-8")
    ended = conformance("judge", str(tmp_path / "example.jsonl"), "--report", str(tmp_path / "report"))
    assert ended.returncode == 1
    assert ended.stdout.count("    > ") == 2
    assert "BROKEN: no-redelivery-after-acknowledgement\n" in ended.stdout
    report = json.loads((tmp_path / "report/judgement.json").read_text("utf-8"))
    assert (
        (tmp_path / "report/anomalies/redelivery-after-acknowledgement.svg")
        .read_text("utf-8")
        .startswith("<svg")
    )
    assert report["exit"] == {"status": 1, "sentence": "BROKEN: no-redelivery-after-acknowledgement"}
    (history,) = report["histories"]
    assert history["events"] == 5
    broken = [promise for promise in history["promises"] if promise["verdict"] == "broken"]
    ((anomaly,),) = ([one for one in promise["checkers"] if one["anomalies"]] for promise in broken)
    assert [event["op"] for event in anomaly["anomalies"][0]["events"]] == ["acknowledge", "poll"]
    assert [event["op"] for event in anomaly["anomalies"][0]["smallest"]] == [
        "register",
        "poll",
        "acknowledge",
        "poll",
    ]


@pytest.mark.parametrize("number", [0, 20, 40, -1])
def test_an_anomaly_is_found_in_a_file(conformance: Command, tmp_path: Path, number: int) -> None:
    """The smallest bad history of a checker, judged by the command; `tests.history.test_files` tries all of them."""
    case = BAD[number]
    ended = conformance("judge", told(tmp_path, case))
    assert ended.returncode == 1, ended.stdout
    assert f"{case.anomaly} ({case.clause})" in ended.stdout


def test_what_is_not_promised_is_told_and_not_counted(conformance: Command, tmp_path: Path) -> None:
    """`--promise` decides what counts, whatever the file says."""
    case = next(case for case in BAD if case.anomaly == "more than one in flight")
    file = told(tmp_path, case)
    assert conformance("judge", file).returncode == 1
    ended = conformance("judge", file, "--promise", "order-within-partition")
    assert ended.returncode == 0, ended.stdout
    assert "BROKEN, not promised one-in-flight" in ended.stdout
    assert "more than one in flight (ORDER-2)" in ended.stdout


def test_a_named_promise_that_can_not_be_judged_is_inconclusive(conformance: Command, tmp_path: Path) -> None:
    """Status 4, with the promise; its needs are listed."""
    case = next(case for case in GOOD if case.anomaly == "phantom")
    ended = conformance(
        "judge", told(tmp_path, case), "--promise", "no-phantom", "--promise", "producers-are-told"
    )
    assert ended.returncode == 4, ended.stdout
    assert "INCONCLUSIVE: producers-are-told could not be judged" in ended.stdout
    assert "needs acknowledgements for producers" in ended.stdout


def test_several_files_are_judged_together(conformance: Command, tmp_path: Path) -> None:
    """One broken history is enough for status 1."""
    names = []
    for case in (GOOD[0], BAD[0]):
        (tmp_path / f"{len(names)}").mkdir()
        names.append(told(tmp_path / f"{len(names)}", case))
    assert conformance("judge", *names).returncode == 1
    assert conformance("judge", names[0]).returncode in (0, 4)


MISTAKES = [
    (["missing.jsonl"], "missing.jsonl can't be read: No such file"),
    ([], "expected a file, or --list-promises"),
    (["FILE", "--promise", "exactly-once"], "invalid choice: 'exactly-once'"),
    (["FILE", "--report", "FILE"], "it is a file; expected a folder that can be written"),
    (["."], "can't be read: Is a directory"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_wrong_usage(conformance: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    """Status 2, and one sentence."""
    file = told(tmp_path, BAD[0])
    ended = conformance("judge", *(file if word == "FILE" else word for word in arguments))
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"kind": "history", "format": 1}', '{"op": "poll"}'], 'line 2: "outcome" is missing from a poll'),
        (["hello"], "line 1: expected a JSON object"),
        (
            ['{"kind": "history", "format": 1, "promises": ["all"]}'],
            "line 1: \"promises\": there is no promise 'all'",
        ),
        ([""], "expected a line with facts about the system"),
    ],
)
def test_a_malformed_file(conformance: Command, tmp_path: Path, lines: list[str], message: str) -> None:
    """Status 2, with the line, and what was expected."""
    (tmp_path / "h.jsonl").write_text("\n".join(lines), "utf-8")
    ended = conformance("judge", str(tmp_path / "h.jsonl"))
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_promises_are_listed(conformance: Command) -> None:
    """Each with its sentence, checkers and clauses."""
    ended = conformance("judge", "--list-promises")
    assert ended.returncode == 0
    for promise in PROMISES:
        assert promise.name in ended.stdout
        assert promise.sentence in ended.stdout
        assert all(name in ended.stdout for name in (*promise.checkers, *promise.clauses))


def test_hostile_texts_reach_no_terminal(conformance: Command, tmp_path: Path) -> None:
    """Escapes, lone surrogates and line ends in names are shown as text."""
    name = "ann\x1b[2J\n\ud800"
    poll = {
        "op": "poll",
        "process": name,
        "begin": 1,
        "end": 2,
        "outcome": "ok",
        "consumer": name,
        "records": [],
    }
    lines = [{"kind": "history", "format": 1, "title": name}, poll]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    ended = conformance("judge", str(tmp_path / "h.jsonl"), "--report", str(tmp_path / "report"))
    assert ended.returncode == 1, ended.stderr
    assert "stranger served" in ended.stdout
    assert "\x1b" not in ended.stdout
