"""Progress of a run: a bar on a terminal, lines elsewhere, colour only if wanted."""

import io
import os
import pty
import re
import threading

import pytest

from conformance.reporting.progress import INTERVAL
from conformance.reporting.terminal import Presenter
from tests.reporting import samples
from tests.reporting.samples import BOOK, PLAN, TARGET

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: Escape sequences that move the cursor, hide it or erase something.
ANIMATION = re.compile(r"\x1b\[[0-9?;]*[A-HJKSThl]|\r(?!\n)")


class Clock:
    """Clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def run(presenter: Presenter) -> None:
    """Run with two tests."""
    presenter.announce(TARGET, PLAN)
    for name in ("first[queue-http]", "second[queue-http]"):
        presenter.test_started(name)
        presenter.waiting(3.0)
        presenter.test_ended(name, "failed")
    presenter.finish(samples.result(), BOOK, TARGET)


def on_a_pipe(monkeypatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    run(Presenter(stream, width=80))
    return stream.getvalue()


def on_a_terminal(monkeypatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    read: list[bytes] = []

    def drain() -> None:
        try:
            while octets := os.read(ours, 65536):
                read.append(octets)
        except OSError:  # Linux raises it once the other end is closed
            pass

    reader = threading.Thread(target=drain)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        run(Presenter(stream, width=80))
    reader.join(20)
    os.close(ours)
    return b"".join(read).decode()


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(monkeypatch):
    text = on_a_terminal(monkeypatch)
    bar, table = text.split("Keeping accounts", 1)
    assert "2/12" in bar
    assert "2 failed" in bar
    assert ANIMATION.search(bar)
    assert "\x1b[?25h" in bar, "the cursor is back"
    assert not ANIMATION.search(table)
    assert COLOUR.search(table)


def test_no_color_leaves_no_colour_on_a_terminal(monkeypatch):
    text = on_a_terminal(monkeypatch, NO_COLOR="1")
    codes = {code for found in COLOUR.findall(text) for code in found[2:-1].split(";")}
    assert codes <= {"", "0", "1", "2"}, "bold and dim are no colours"


def test_a_dumb_terminal_gets_no_bar(monkeypatch):
    assert not ANIMATION.search(on_a_terminal(monkeypatch, TERM="dumb"))


def test_a_pipe_gets_neither_bar_nor_colour(monkeypatch):
    assert "\x1b" not in on_a_pipe(monkeypatch)


def test_colour_can_be_forced_on_a_pipe_but_no_bar(monkeypatch):
    text = on_a_pipe(monkeypatch, FORCE_COLOR="1")
    assert COLOUR.search(text)
    assert not ANIMATION.search(text)
    assert not COLOUR.sub("", text).count("\x1b")


def test_a_pipe_gets_a_line_now_and_then():
    clock, stream = Clock(), io.StringIO()
    presenter = Presenter(stream, width=80, now=clock)
    presenter.announce(TARGET, PLAN)
    stream.truncate(0)
    for number in range(4):
        presenter.test_started(f"test-{number}")
        presenter.test_ended(f"test-{number}", "passed" if number else "failed")
        clock.now += INTERVAL / 2
    lines = stream.getvalue().strip("\0\n").splitlines()
    assert len(lines) == 1
    assert lines[0] == "2 of 12 tests in 10 s, 1 failed, test-2"
    presenter.test_started("test-5")
    presenter.waiting(42.0)
    clock.now += INTERVAL
    presenter.waiting(32.4)
    assert "waiting for real time to pass, 32 s left" in stream.getvalue().splitlines()[-1]
    clock.now += INTERVAL
    presenter.test_ended("test-5", "passed")
    presenter.test_started("test-6")
    assert stream.getvalue().splitlines()[-1].endswith("1 failed, test-6")


def test_progress_may_come_from_several_threads():
    stream = io.StringIO()
    clock = Clock()
    presenter = Presenter(stream, width=80, now=clock)
    presenter.announce(TARGET, PLAN)

    def work(thread: int) -> None:
        for number in range(200):
            presenter.test_started(f"{thread}-{number}")
            presenter.waiting(1.0)
            presenter.test_ended(f"{thread}-{number}", "passed")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += INTERVAL
    presenter.waiting(0)
    assert "800 of 12 tests" in stream.getvalue()


def test_a_presenter_may_be_closed_twice_and_before_it_began():
    presenter = Presenter(io.StringIO(), width=80)
    presenter.close()
    presenter.test_started("x")
    presenter.announce(TARGET, PLAN)
    presenter.close()
    presenter.close()
    presenter.test_ended("x", "passed")
