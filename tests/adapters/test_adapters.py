"""Adapters as processes: a conforming queue in two languages, its broken twins, and programs that are no adapters."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.adapters.protocol import OPTIONAL, OUTCOMES, REQUIRED
from conformance.adapters.scenario import DrivePlan, drive
from conformance.adapters.serving import Adapter, Closed, Failed, LocalAdapter, NoAnswer, Refused, carried_out
from conformance.history.events import Acknowledge, Cut, Poll, Unregister
from conformance.history.judgement import Verdict, judge
from tests.adapters.toy import ToyAdapter
from tests.command.conftest import run_conformance
from tests.history.broken import SHOWN_BY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.models.toy_queue import ToyQueue

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shlex.quote(sys.executable)
TOY = f"{PYTHON} -m tests.adapters.toy"
JAVASCRIPT = f"node {shlex.quote(str(Path(__file__).with_name('queue.mjs')))}"
SMALL = DrivePlan(records=40, seconds=20.0)


def test_a_conforming_queue_behind_an_adapter_in_python(tmp_path: Path) -> None:
    """Nothing is broken; the report has the history, which is judged anew with the same result."""
    ended = run_conformance("--adapter", TOY, "--effort", "quick", "--report", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "KEPT: 16 promises of 17" in ended.stdout
    history = tmp_path / "histories/adapter.jsonl"
    ops = {json.loads(line).get("op") for line in history.read_text("utf-8").splitlines()}
    assert {"publish", "register", "poll", "acknowledge", "give-back", "heartbeat", "leave", "cut"} <= ops
    again = run_conformance("judge", str(history))
    assert again.returncode == 0
    assert again.stdout.split("\n", 1)[1] in ended.stdout.split("\n", 1)[1]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    ("fault", "promises"),
    [
        ("", set()),
        ("commits-early", {"redelivered-before-its-successors", "one-in-flight", "at-least-once"}),
        ("keeps", {"redelivered-before-its-successors", "at-least-once"}),
        ("two-owners", {"one-owner-at-a-time", "one-in-flight"}),
    ],
)
def test_a_queue_behind_an_adapter_in_javascript(fault: str, promises: set[str]) -> None:
    """The queue keeps what it promises; each broken twin breaks one of the promises that its fault is about."""
    ended = run_conformance("--adapter", f"{JAVASCRIPT} {fault}", "--effort", "quick", "--time-limit", "25")
    assert ended.returncode == (1 if fault else 0), ended.stdout + ended.stderr
    broken = {line.split()[1] for line in ended.stdout.splitlines() if line.startswith("  BROKEN  ")}
    assert bool(broken & promises) is bool(fault), broken


@pytest.fixture(scope="module")
def go_queue(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the program that Go makes of the adapter in Go."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    path = tmp_path_factory.mktemp("go") / "queue"
    source = Path(__file__).with_name("queue.go")
    subprocess.run(["go", "build", "-o", str(path), str(source)], check=True, timeout=300)
    return str(path)


@pytest.mark.parametrize(("fault", "broken"), [("", ""), ("skips", "redelivered-before-its-successors")])
def test_a_queue_behind_an_adapter_in_go(go_queue: str, fault: str, broken: str) -> None:
    """An adapter that was written from docs/adapters.md alone, without heartbeats and silence."""
    ended = run_conformance(
        "--adapter", f"{shlex.quote(go_queue)} {fault}", "--effort", "quick", "--time-limit", "25"
    )
    assert ended.returncode == (1 if fault else 0), ended.stdout + ended.stderr
    assert f"BROKEN               {broken}" in ended.stdout or not broken


@pytest.mark.parametrize("anomaly", ["redelivery after acknowledgement", "accepted late"])
def test_a_broken_queue_in_this_process(anomaly: str) -> None:
    """A class is driven without a process, and its fault is found."""
    kind: type[ToyQueue] = SHOWN_BY[anomaly]  # type: ignore[assignment]
    driven = drive(LocalAdapter(ToyAdapter(kind)), SMALL)
    assert driven.broke_off == ""
    results = [one for promise in judge(driven.file).promises for one in promise.results]
    assert anomaly in {one.name for one in results if one.verdict is Verdict.BROKEN}


def test_the_scenario_has_what_can_go_wrong() -> None:
    """Consumers are cut, leave, fall silent and are put out, and acknowledge late."""
    history = drive(LocalAdapter(ToyAdapter()), SMALL).file.events
    assert any(isinstance(event, Cut) for event in history)
    assert any(isinstance(event, Unregister) and event.succeeded for event in history)
    assert any(isinstance(event, Poll) and event.refused for event in history)
    assert any(isinstance(event, Acknowledge) and event.refused for event in history)


NO_ADAPTERS = [
    ("no-such-command-here", "cannot start 'no-such-command-here'"),
    ("cat", 'expected an object with "outcome", one of ok, refused'),
    ("true", "the adapter ended with status 0"),
    (f"{PYTHON} -c 'raise SystemExit(\"out of order\")'", "out of order"),
    (
        f"{PYTHON} -c 'print(\"hello\", flush=True); input()'",
        "messages for people belong on its standard error",
    ),
    (
        """sh -c 'while read l; do echo "{\\"id\\": 1, \\"outcome\\": \\"ok\\"}"; done'""",
        '"abilities": expected a list of strings',
    ),
    (
        """sh -c 'while read l; do echo "{\\"id\\": 2, \\"outcome\\": \\"ok\\"}"; done'""",
        "answers the request 2: expected the id of a request that it was sent",
    ),
]


@pytest.mark.parametrize(("command", "message"), NO_ADAPTERS)
def test_a_program_that_is_no_adapter(command: str, message: str) -> None:
    """Status 2, and what was expected."""
    ended = run_conformance("--adapter", command)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def stand_in(folder: Path, body: str) -> str:
    """The command of an adapter with this body: `request` is at hand, `answer` is to be filled."""
    path = folder / "adapter.py"
    path.write_text(
        "import json, sys\n"
        f"hello = {{'abilities': {list(REQUIRED)!r}, 'name': 'stand-in'}}\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    request, answer = json.loads(line), {'outcome': 'ok'}\n"
        "    if request['op'] == 'hello': answer.update(hello)\n"
        "    elif request['op'].startswith('no-such'): answer = {'outcome': 'unsupported'}\n"
        + "".join(f"    {line}\n" for line in body.splitlines())
        + "    print(json.dumps({**answer, 'id': request['id']}), flush=True)\n",
        "utf-8",
    )
    return f"{PYTHON} {shlex.quote(str(path))}"


def test_an_adapter_that_can_do_everything_is_none(tmp_path: Path) -> None:
    """It says ok to a request that does not exist."""
    ended = run_conformance("--adapter", stand_in(tmp_path, "answer['outcome'] = 'ok'"))
    assert ended.returncode == 2
    assert 'which does not exist: expected "outcome": "unsupported"' in ended.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if number == 30: sys.exit('I am full')", "I am full"),
        ("if request['op'] == 'poll': answer['records'] = [{'id': 1}]", '"topic" is missing'),
        (
            "if request['op'] == 'join': answer = {'outcome': 'unsupported'}",
            'announces "join", and answers',
        ),
        ("if number == 9: answer = {'outcome': 'perhaps'}", '"outcome", one of ok'),
    ],
)
def test_an_adapter_that_ends_early_is_inconclusive(tmp_path: Path, body: str, message: str) -> None:
    """Status 4, and the reason."""
    empty = "if request['op'] == 'poll': answer['records'] = []\n"
    ended = run_conformance(
        "--adapter", stand_in(tmp_path, empty + body), "--effort", "quick", "--time-limit", "15"
    )
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert message in ended.stderr
    assert "INCONCLUSIVE: the adapter ended early" in ended.stdout


class Closing(ToyAdapter):
    """A queue that puts out a consumer which acknowledges what it does not hold, as AMQP does."""

    def acknowledge(self, consumer: str, record: dict[str, object]) -> None:
        try:
            super().acknowledge(consumer, record)
        except Refused as error:
            with contextlib.suppress(Refused):
                self.leave(consumer)
            raise Closed(str(error)) from error


def test_a_consumer_that_the_engine_put_out_for_an_error_is_not_taken_for_evicted() -> None:
    """The history has a cut, and the name is not used any more."""
    file = drive(LocalAdapter(Closing()), SMALL).file
    assert any(isinstance(event, Acknowledge) and event.refused for event in file.events)
    broken = [
        one for promise in judge(file).promises for one in promise.results if one.verdict is Verdict.BROKEN
    ]
    assert broken == []


class Picky(Adapter):
    """An adapter whose every method has another outcome."""

    def publish(self, topic: str, text: str, key: str | None) -> None:
        raise Refused(topic)

    def join(self, consumer: str) -> None:
        raise NoAnswer(consumer)

    def poll(self, consumer: str) -> None:
        raise Failed(consumer)

    def acknowledge(self, consumer: str, record: object) -> None:
        raise ZeroDivisionError(consumer)


def test_exceptions_of_an_adapter_in_python_are_outcomes() -> None:
    """An exception of a client library tells nothing: its outcome is failed."""

    def outcome(op: str, **members: object) -> object:
        return carried_out(Picky(), {"op": op, **members})["outcome"]

    assert outcome("publish", topic="t", text="a", key=None, more=1) == "refused"
    assert outcome("join", consumer="c") == "unknown"
    assert outcome("poll", consumer="c") == "failed"
    assert outcome("acknowledge", consumer="c", record={}) == "failed"
    assert outcome("give-back", consumer="c") == outcome("close") == outcome("facts") == "unsupported"
    assert carried_out(Picky(), {"op": "hello"})["abilities"] == list(REQUIRED)


def test_the_page_on_adapters_has_every_request_and_outcome() -> None:
    """docs/adapters.md is enough to write one."""
    text = (ROOT / "docs/adapters.md").read_text("utf-8")
    for name in (*REQUIRED, *OPTIONAL, *OUTCOMES):
        assert f"`{name}`" in text, name


def test_the_lines_of_the_page_are_json() -> None:
    """Requests and answers of the example can be copied."""
    lines = (ROOT / "docs/adapters.md").read_text("utf-8").splitlines()
    documents = [json.loads(line[5:]) for line in lines if line.startswith(("    → ", "    ← "))]
    assert len(documents) > 10
    assert {document.get("outcome", "ok") for document in documents} <= set(OUTCOMES)


def test_a_mistake_in_a_program_of_the_scenario_is_raised() -> None:
    """An exception in a thread ends the scenario; it is neither the adapter's nor lost."""

    class Mistaken(LocalAdapter):
        def ask(self, op: str, wait: float = 0.0, **members: object) -> Mapping[str, object] | None:
            if op == "publish":
                raise ZeroDivisionError
            return super().ask(op, wait, **members)

    with pytest.raises(ZeroDivisionError):
        drive(Mistaken(ToyAdapter()), SMALL)
