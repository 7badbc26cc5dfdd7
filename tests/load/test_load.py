"""The load generator counts every reply of the reference server, and fails on replies that must not be."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from conformance.targets.server_process import running_server
from tests.load import __main__ as command
from tests.load.connection import Connection, LoadFailed, Server
from tests.load.destinations import check_stored, fresh_queue, fresh_topic
from tests.load.flows import Bounds, Flow, run
from tests.load.frames import Supply, acknowledgements, masked, stomp
from tests.load.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = Bounds(messages=2000, seconds=20.0)
FEW = ("--messages", "500", "--repeat", "1")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a reference server."""
    with running_server(f"{sys.executable} -m reference_server --port 0") as url:
        yield url


def unmasked(octets: bytes) -> Iterator[bytes]:
    """Payloads of masked WebSocket messages."""
    while octets:
        assert octets[0] == 0x81
        length, start = octets[1] & 0x7F, 2
        if length == 126:
            (length,), start = struct.unpack("!H", octets[2:4]), 4
        key, payload = octets[start : start + 4], octets[start + 4 : start + 4 + length]
        assert len(payload) == length
        yield bytes(octet ^ key[at % 4] for at, octet in enumerate(payload))
        octets = octets[start + 4 + length :]


@pytest.mark.parametrize("length", [0, 1, 3, 125, 126, 1000])
def test_a_message_is_masked(length: int) -> None:
    """Payloads of every length, with the length in one octet or in three."""
    payload = os.urandom(length)
    assert list(unmasked(masked(payload))) == [payload]


def test_acknowledgements_are_masked_together() -> None:
    """Ids of one length and of several, in their order, with frames longer than 125 octets too."""
    ids = [b"1", b"2", b"10", b"3", b"x" * 200, b"y" * 200]
    expected = [b"ACK\nid:" + ack + b"\n\n\0" for ack in ids]
    assert list(unmasked(acknowledgements(ids))) == expected


def test_a_supply_is_a_ring() -> None:
    """A slice past its end goes on at the start."""
    supply = Supply([b"aa", b"bb", b"cc"])
    assert [bytes(supply.take(2)) for _ in range(3)] == [b"aabb", b"ccaa", b"bbcc"]
    with pytest.raises(ValueError, match="4 messages of 3"):
        supply.take(4)
    with pytest.raises(ValueError, match="one length"):
        Supply([b"a", b"bb"])


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_workload_is_counted(url: str, workload: str) -> None:
    """Each workload ends with as many replies as it must get, and gives figures above zero."""
    bounds = Bounds(50, 20.0) if workload == "delivery-latency" else SMALL
    measures = WORKLOADS[workload](Server(url), bounds)
    assert set(measures) == ({"p50", "p99"} if workload.endswith("latency") else {"rate"})
    assert all(value > 0 for value in measures.values())


def test_a_workload_is_bounded_in_time(url: str) -> None:
    """Sending stops after the seconds, with all replies counted."""
    assert WORKLOADS["queue-1"](Server(url), Bounds(10**9, 0.05))["rate"] > 0


def test_records_go_to_a_topic_and_plain_messages_to_a_queue(url: str) -> None:
    """The reference server has topics."""
    assert fresh_topic(Server(url)).topic
    assert not fresh_queue(Server(url)).topic


@pytest.mark.parametrize("kind", [fresh_queue, fresh_topic])
def test_stored_messages_are_counted(url: str, kind: type) -> None:
    """A wrong number of messages in a queue, or of records in a topic, is a failure."""
    server = Server(url)
    target = kind(server)
    body = b'{"messageID": "1", "message": "x"}'
    with Connection(server) as link:
        for _ in range(3):
            link.send_frame("SEND", {"destination": target.path}, body)
        link.fence("BEGIN", {"transaction": "last"})
    with pytest.raises(LoadFailed, match="has 3 messages"):
        check_stored(server, target, 4)
    check_stored(server, target, 3 if target.topic else 0)


def test_a_queue_is_counted_again_while_the_first_connection_stays(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscription ends before its connection, whose end a server may be slow to see."""
    server = Server(url)
    queue = fresh_queue(server)
    monkeypatch.setattr("tests.load.connection.PATIENCE", 5.0)
    with contextlib.ExitStack() as later:
        monkeypatch.setattr(Connection, "__exit__", lambda link, *_: later.callback(link._socket.close))
        for _ in range(2):
            check_stored(server, queue, 0)


def test_an_error_is_a_failure(url: str) -> None:
    """An ERROR frame ends the run with its text."""
    with Connection(Server(url)) as link:
        link.send_frame("SEND", {"destination": "/nowhere"})
        with pytest.raises(LoadFailed, match="ERROR"):
            link.fence("BEGIN", {"transaction": "last"})


@pytest.mark.parametrize("answers", [0, 2])
def test_a_wrong_number_of_answers_is_a_failure(
    url: str, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers too rarely or too often is not measured."""
    if not answers:
        monkeypatch.setattr("tests.load.flows.PATIENCE", 0.2)
    send = masked(stomp("BEGIN", {"transaction": "0", "receipt": "0"}))
    with Connection(Server(url)) as link:
        flow = Flow(link, link, Supply([send]), 1, lambda octets: answers * octets.count(b"RECEIPT\n"))
        with pytest.raises(LoadFailed, match=f"{answers} answers to 1 messages"):
            run([flow], Bounds(1, 20.0))


def test_a_closed_connection_is_a_failure() -> None:
    """A server that hangs up in the handshake is named."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closing = threading.Thread(target=lambda: listener.accept()[0].close())
        closing.start()
        with pytest.raises(LoadFailed, match=r"127\.0\.0\.1"):
            Connection(Server(f"ws://127.0.0.1:{listener.getsockname()[1]}/"))
        closing.join()


def test_the_command_prints_medians(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One server has a column with its own name."""
    assert command.main([url, "--workload", "publish-1", *FEW]) == 0
    printed = capsys.readouterr().out
    assert "stompliance" in printed
    assert "ratio" not in printed


def test_two_servers_are_compared_and_recorded(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ratios of all workloads are printed, and written without the login."""
    written = tmp_path / "figures.json"
    monkeypatch.setattr("tests.figures.store.MEASURED", written)
    arguments = [
        url,
        "--beside",
        url,
        "--record",
        "--seconds",
        "0.1",
        "--login",
        "ann",
        "--passcode",
        "secret",
    ]
    assert command.main([*arguments, *FEW]) == 0
    assert "ratio" in capsys.readouterr().out
    measurement = json.loads(written.read_text("utf-8"))["speed"]
    assert len(measurement["figures"]["ratios"]) == 10
    assert "secret" not in written.read_text("utf-8")


def test_a_failure_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is out of reach ends the command with status 1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert command.main([f"ws://127.0.0.1:{port}/"]) == 1
    assert capsys.readouterr().err.startswith("tests.load: ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ws://192.0.2.1/stomp"], "--anywhere"),
        (["http://127.0.0.1/"], "no ws:// URL"),
        (["ws://127.0.0.1/", "--record"], "--beside"),
        (["ws://127.0.0.1/", "--seconds", "0"], "above 0"),
        (["ws://127.0.0.1/", "--messages", "100000000"], "up to"),
        (["ws://127.0.0.1/", "--header", "x"], "NAME:VALUE"),
    ],
)
def test_wrong_usage_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers elsewhere need a word more, and nothing runs without end."""
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    assert complaint in capsys.readouterr().err
