"""The suite before servers whose timings can't be waited out, that become slow, or that drip when it is interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from conformance.targets.server_process import running_server
from tests.hostile.judging import MIB, Ended, judged

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

SERVER = f"{sys.executable} -m reference_server --port 0"
QUICK = ("--effort", "quick")
SECONDS = 90.0
#: Number of a connection behind those of the first contact.
IN_THE_MIDDLE = 60
#: Time for the end of a run after Ctrl-C.
AT_ONCE = 5.0


@contextlib.contextmanager
def relayed(*options: str, virtual: bool) -> Iterator[str]:
    """URL of a relay with these options before the reference server."""
    with (
        running_server(f"{SERVER} --virtual-clock" if virtual else SERVER) as url,
        running_server(f"{sys.executable} -m tests.hostile.relay {url} {' '.join(options)}") as relay,
    ):
        yield relay


def told(ended: Ended) -> str:
    return f"{ended.status} after {ended.seconds:.0f} s, {ended.memory // MIB} MiB: {ended.out}{ended.err}"


def check(ended: Ended) -> None:
    """Assert the properties of every run: no traceback, no mistake of the suite, bounded memory."""
    assert "Traceback" not in ended.said, told(ended)
    assert "mistake of the suite" not in ended.said, told(ended)
    assert ended.memory <= 512 * MIB, told(ended)


@pytest.mark.parametrize(
    ("timings", "virtual"),
    [
        ('{"heartbeat_timeout": 1e6, "eviction_grace": 1e6, "rebalance_timeout": 1e6}', True),
        ('{"heartbeat_timeout": 1e6, "eviction_grace": 1e6, "rebalance_timeout": 1e6}', False),
        ('{"rebalance_timeout": 1e6}', True),
        ('{"heartbeat_timeout": 0}', True),
        ('{"heartbeat_timeout": 0, "eviction_grace": 0, "rebalance_timeout": 0}', True),
        ('{"heartbeat_timeout": 0, "eviction_grace": 0, "rebalance_timeout": 1}', False),
        ('{"heartbeat_timeout": 1e6, "first_frame_timeout": 1e6}', False),
        (f'{{"heartbeat_timeout": 1{"0" * 400}, "eviction_grace": 1e308, "rebalance_timeout": 1e308}}', True),
        ('{"heartbeat_timeout": 1e-9, "eviction_grace": 1e-9, "rebalance_timeout": 1e-9}', False),
    ],
    ids=str,
)
def test_no_run_waits_for_timings_that_are_too_long(timings: str, virtual: bool) -> None:
    """Clauses that the timings rule out are not judged; other verdicts may be wrong, as the timings are not true."""
    with relayed(f"'--timings={timings}'", virtual=virtual) as url:
        clauses = ("--clause", "LIVE-EVICT-1", "--clause", "REBALANCE", "--class", "queue-http")
        ended = judged(url, *QUICK, *clauses, within=SECONDS)
    check(ended)
    assert ended.status in (0, 1, 4), told(ended)
    assert ended.seconds < SECONDS, told(ended)


@pytest.mark.parametrize(
    "timings",
    [
        '{"heartbeat_timeout": NaN, "eviction_grace": -1, "rebalance_timeout": "soon"}',
        '{"heartbeat_timeout": -Infinity, "eviction_grace": [], "rebalance_timeout": null}',
    ],
)
def test_timings_that_are_none_count_against_the_capabilities(timings: str) -> None:
    with relayed(f"'--timings={timings}'", virtual=True) as url:
        clauses = ("--clause", "LIVE-EVICT-1", "--clause", "CAP-1", "--class", "queue-http")
        ended = judged(url, *QUICK, *clauses, within=SECONDS)
    check(ended)
    assert ended.status == 1, told(ended)
    assert "1 requirement broken (CAP-1)" in ended.said, told(ended)


def test_a_server_that_becomes_slow_ends_the_run_with_the_reason() -> None:
    with relayed("--slow-after 4 --delay 1", virtual=True) as url:
        ended = judged(url, *QUICK, "--time-limit", "12", within=SECONDS)
    check(ended)
    assert "not over within 12 s" in ended.said, told(ended)
    assert "ms at the first contact" in ended.said, told(ended)
    assert ended.status in (1, 4), told(ended)
    assert ended.seconds < 30, told(ended)


@pytest.mark.parametrize(
    ("slow", "options", "virtual"),
    [
        ("--delay 0.02 --octets 1", ("--class", "queue-http"), True),
        ("--delay 0.5", ("--class", "queue-stomp"), False),
        ("--delay 0.3 --octets 20", ("--class", "stomp-1.2", "--parallel", "1"), True),
    ],
)
def test_however_a_server_becomes_slow_the_run_ends(
    slow: str, options: tuple[str, ...], virtual: bool
) -> None:
    """Pieces of one octet, real time, no other test beside: the run ends in time, and says how slow it has become."""
    with relayed(f"--slow-from {IN_THE_MIDDLE} {slow}", virtual=virtual) as url:
        ended = judged(url, *QUICK, "--time-limit", "12", *options, within=SECONDS)
    check(ended)
    assert "not over within 12 s" in ended.said, told(ended)
    assert ended.status in (1, 4), told(ended)
    assert ended.seconds < SECONDS, told(ended)


def test_a_server_that_falls_silent_ends_the_run_with_the_reason() -> None:
    """Connections are accepted, and nothing comes any more: the run ends long before its limit."""
    with relayed(f"--slow-from {IN_THE_MIDDLE} --delay 1000", virtual=True) as url:
        ended = judged(url, *QUICK, within=SECONDS)
    check(ended)
    assert "it gave no answer for" in ended.said, told(ended)
    assert ended.status == 4, told(ended)


def interrupting(listener: socket.socket, when: list[float]) -> Callable[[subprocess.Popen[bytes]], None]:
    """Sends the first Ctrl-C once the server drips, and notes the time."""

    def meanwhile(process: subprocess.Popen[bytes]) -> None:
        listener.settimeout(SECONDS)
        listener.accept()[0].close()
        when.append(time.monotonic())
        os.kill(process.pid, signal.SIGINT)

    return meanwhile


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("capabilities_at_16_kb_a_second", ()),
        ("header_lines_without_end", ()),
        ("replies_at_16_kb_a_second", ("--class", "queue-http")),
        ("a_frame_octet_by_octet", ("--class", "stomp-1.2")),
        ("capabilities_octet_by_octet", ("--class", "websocket", "--wait", "60")),
        ("a_frame_of_the_highest_length", ("--class", "stomp-1.0", "--parallel", "1")),
        ("replies_at_16_kb_a_second", ("--class", "queue-http", "--clause", "ORDER")),
    ],
)
def test_the_first_ctrl_c_ends_the_run_while_a_reply_drips(name: str, options: tuple[str, ...]) -> None:
    when: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = f"{sys.executable} -m tests.hostile.servers {name} {listener.getsockname()[1]}"
        with running_server(server) as url:
            ended = judged(url, *QUICK, *options, within=SECONDS, meanwhile=interrupting(listener, when))
            seconds = time.monotonic() - when[0]
    check(ended)
    assert seconds < AT_ONCE, f"{seconds:.1f} s after Ctrl-C; {told(ended)}"
    assert ended.status == 4, told(ended)
    assert "nterrupted" in ended.said, told(ended)


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("wss", ()),
        ("https", ("--class", "queue-http")),
        ("stomp", ()),
        ("stomps", ("--insecure",)),
        ("ws", ("--class", "stomp-1.1")),
    ],
)
def test_the_first_ctrl_c_ends_the_run_at_a_silent_port(scheme: str, options: tuple[str, ...]) -> None:
    """A port that accepts, and answers neither a handshake nor a frame."""
    when: list[float] = []
    held: list[socket.socket] = []

    def meanwhile(process: subprocess.Popen[bytes]) -> None:
        listener.settimeout(SECONDS)
        held.append(listener.accept()[0])
        held[0].settimeout(SECONDS)
        assert held[0].recv(1)
        when.append(time.monotonic())
        os.kill(process.pid, signal.SIGINT)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        ended = judged(url, *QUICK, *options, within=SECONDS, meanwhile=meanwhile)
        seconds = time.monotonic() - when[0]
    held[0].close()
    check(ended)
    assert seconds < AT_ONCE, f"{seconds:.1f} s after Ctrl-C; {told(ended)}"
    assert ended.status == 4, told(ended)
    assert "nterrupted" in ended.said, told(ended)
