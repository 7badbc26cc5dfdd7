"""Starting a broker, waiting until it answers, and stopping all of it."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.brokers import running
from tests.brokers.running import LOG, CannotStart, Start, answers, free_ports


def fake(mode: str) -> Start:
    """Command line of the fake broker on a free port."""
    (port,) = free_ports(1)
    return Start(
        words=[sys.executable, "-m", "tests.brokers.fake", str(port), mode],
        urls={"tcp": f"stomp://127.0.0.1:{port}"},
        env={"PYTHONPATH": str(Path.cwd())},
    )


def is_alive(process_id: int) -> bool:
    """True if there is such a process that has not ended; a zombie has."""
    with suppress(OSError), Path(f"/proc/{process_id}/stat").open(encoding="utf-8") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_a_broker_answers_within_the_context_and_not_behind_it(tmp_path: Path) -> None:
    start = fake("answers")
    with running.running(start, tmp_path):
        assert answers(start.urls["tcp"])
    assert not answers(start.urls["tcp"])


def test_a_broker_that_ignores_sigterm_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STOP_SECONDS", 0.3)
    with running.running(fake("stubborn"), tmp_path):
        child = int(re.search(r"child (\d+)", (tmp_path / LOG).read_text())[1])
        assert is_alive(child)
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline, "the child outlived its broker"


def test_a_broker_stops_when_the_context_is_interrupted(tmp_path: Path) -> None:
    start = fake("answers")
    with pytest.raises(KeyboardInterrupt), running.running(start, tmp_path):
        raise KeyboardInterrupt
    assert not answers(start.urls["tcp"])


def test_a_broker_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotStart, match=r"ended with status 7 .*\n +no such port"),
        running.running(fake("ends"), tmp_path),
    ):
        pass


def test_a_broker_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ATTEMPT_SECONDS", 0.1)
    with (
        pytest.raises(CannotStart, match=r"no answer at stomp://127\.0\.0\.1:\d+ within 1 s"),
        running.running(fake("silent"), tmp_path, seconds=1.0),
    ):
        pass


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    start = Start(words=["no-such-broker"], urls={})
    with pytest.raises(CannotStart, match="cannot start no-such-broker"), running.running(start, tmp_path):
        pass


def test_the_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_an_answer_over_websocket_is_an_accepted_upgrade(tmp_path: Path) -> None:
    """CONNECTED is no answer to an upgrade."""
    start = fake("answers")
    with running.running(start, tmp_path):
        assert not answers(start.urls["tcp"].replace("stomp://", "ws://"))
