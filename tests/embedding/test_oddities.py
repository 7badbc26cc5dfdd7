"""The oddities of the reference server, on the wire and on its command line."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import websocket

from conformance.specification.clauses import book
from reference_server import ODDITIES, Server
from tests.command.conftest import COMMAND_SECONDS, clean_environment
from tests.embedding.clients import Client, Frame
from tests.mutants.variants.wire import BINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Function that connects a client to a new server with these oddities."""
    with contextlib.ExitStack() as stack:

        def to(*names: str, **headers: str) -> Client:
            server = stack.enter_context(Server(odd=names))
            client = Client(server.url, **headers)
            stack.callback(client.close)
            return client

        yield to


def exchange(client: Client) -> dict[str, Frame]:
    """Subscribe, send, acknowledge and provoke an ERROR; returns the last frame of each command."""
    frames = [client.connected]
    client.send("SUBSCRIBE", id="s", destination="/queue/q", ack="client-individual", receipt="subscribed")
    client.send("SEND", "", destination="/queue/q", redelivered_not="x")
    client.send(
        "SEND", "größe\n\nbody\r\n", destination="/queue/q", server="theirs", session="theirs", x="a\\b:c\n"
    )
    messages: list[Frame] = []
    while len(frames) < 4:
        frames.append(client.next())
        if frames[-1].command == "MESSAGE":
            messages.append(frames[-1])
            client.send("ACK", id=frames[-1].headers["ack"], receipt=f"ack {len(messages)}")
    while "ack 2" not in [frame.headers.get("receipt-id") for frame in frames]:
        frames.append(client.next())
    assert [message.body.decode() for message in messages] == ["", "größe\n\nbody\r\n"]
    headers = messages[1].headers
    assert [headers[name] for name in ("destination", "subscription", "server", "session", "x")] == [
        "/queue/q",
        "s",
        "theirs",
        "theirs",
        "a\\b:c\n",
    ]
    client.send("ACK", id="17", receipt="never")
    while frames[-1].command != "ERROR":
        frames.append(client.next())
    assert frames[-1].headers["receipt-id"] == "never"
    receipts = {frame.headers["receipt-id"] for frame in frames if frame.command == "RECEIPT"}
    assert receipts == {"subscribed", "ack 1", "ack 2"}
    return {frame.command: frame for frame in frames}


@pytest.mark.parametrize("name", ODDITIES)
def test_a_reader_of_the_text_survives_each(connect: Connect, name: str) -> None:
    exchange(connect(name))


def test_a_reader_of_the_text_survives_all_at_once(connect: Connect) -> None:
    exchange(connect(*ODDITIES))


@pytest.mark.parametrize("names", [*([name] for name in ODDITIES), [*ODDITIES]], ids=lambda names: names[-1])
def test_a_large_body_comes_whole(connect: Connect, names: list[str]) -> None:
    """The server keeps large frames in two parts, of which an edit sees one frame."""
    client, body = connect(*names), "größe\n\n" * 20_000
    client.send("SUBSCRIBE", id="s", destination="/topic/t", ack="client")
    client.send("SEND", body, destination="/topic/t", x="y")
    message = client.expect("MESSAGE")
    assert message.body.decode() == body
    assert message.headers["x"] == "y"
    client.send("ACK", id=message.headers["ack"], receipt="r")
    assert client.expect("RECEIPT").headers["receipt-id"] == "r"


@pytest.mark.parametrize("name", sorted(set(ODDITIES) - {"frames-are-answered-late", "receipts-come-late"}))
def test_each_shows_on_the_wire(connect: Connect, name: str) -> None:
    """The octets differ from those of a server without it, apart from names and numbers."""

    def octets(client: Client) -> list[tuple[int, bytes]]:
        client.send("SUBSCRIBE", id="s", destination="/queue/q", ack="client", receipt="r")
        client.send("SEND", "", destination="/queue/q", receipt="sent")
        while client.next().headers.get("receipt-id") != "sent":
            pass
        client.send("ACK", id="17")
        while client.next().command != "ERROR":
            pass
        return [(kind, re.sub(rb"session:[0-9a-f]+-\d", b"session:", data)) for kind, data in client.messages]

    if name == "beats-come-often":
        client = connect(name, heart_beat="0,100")
        while not client.skipped:
            client.octets += client.link.recv_data()[1]
            bare = client.octets.lstrip(b"\n")
            client.skipped += client.octets[: len(client.octets) - len(bare)]
        assert set(client.skipped) == {10}
        return
    plain, odd = octets(connect()), octets(connect(name))
    assert plain != odd


def test_receipts_are_overtaken(connect: Connect) -> None:
    """A MESSAGE comes before the RECEIPT of its SUBSCRIBE, and a RECEIPT before an earlier one."""
    client = connect("receipts-come-late")
    client.send("SUBSCRIBE", id="s", destination="/topic/t", receipt="first")
    client.send("SEND", "x", destination="/topic/t", receipt="second")
    frames = [client.next() for _ in range(3)]
    assert [frame.command for frame in frames] == ["MESSAGE", "RECEIPT", "RECEIPT"]
    assert [frame.headers["receipt-id"] for frame in frames[1:]] == ["second", "first"]
    client.send("SEND", "x", destination="/topic/none", receipt="third")
    client.send("DISCONNECT", receipt="last")
    assert [client.expect("RECEIPT").headers["receipt-id"] for _ in range(2)] == ["third", "last"]


def test_an_odd_id_is_no_other_id(connect: Connect) -> None:
    """The plain number of a message is not one that the server issued."""
    client = connect("ids-are-odd-strings")
    client.send("SUBSCRIBE", id="s", destination="/queue/q", ack="client")
    client.send("SEND", "x", destination="/queue/q")
    ack = client.expect("MESSAGE").headers["ack"]
    assert set(map(chr, range(1, 128))) <= set(ack)
    client.send("ACK", id=re.match(r"\d+", ack)[0])
    assert "unknown message" in client.expect("ERROR").headers["message"]


def test_a_user_header_that_an_oddity_edits_elsewhere_is_kept(connect: Connect) -> None:
    """Headers named `session` or `server` belong to the server only in CONNECTED."""
    exchange(connect("connected-says-little", "sessions-have-long-names"))


def test_each_is_judged_by_the_suite_and_names_its_freedom() -> None:
    """A row has a broker among the odd ones, a summary, and clauses that exist."""
    assert set(BINDINGS) == set(ODDITIES)
    for oddity in ODDITIES.values():
        assert oddity.summary
        assert oddity.freedom.endswith(".")
        clauses = re.findall(r"[A-Z]+-[A-Z]+-\d+", oddity.freedom)
        assert all(clause in book() for clause in clauses), oddity.freedom


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of the server to its end."""
    return subprocess.run(
        [sys.executable, "-m", "reference_server", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env=clean_environment(),
    )


def test_the_command_lists_them() -> None:
    ended = run_server("--list-odd")
    assert ended.returncode == 0, ended.stderr
    listed = [line for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert listed == list(ODDITIES)


@pytest.mark.parametrize("name", ["headers-in-any-order", "", "lines end with cr lf"])
def test_the_command_names_what_comes_near(name: str) -> None:
    ended = run_server("--odd", name)
    assert ended.returncode == 2, ended.stderr
    assert f"there is no {name!r}" in ended.stderr
    assert "Expected" in ended.stderr


def test_the_command_turns_them_on() -> None:
    command = [sys.executable, "-m", "reference_server", "--port", "0"]
    odd = ["--odd", "every-message-is-binary", "--odd", "headers-are-repeated"]
    with subprocess.Popen(
        [*command, *odd], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as server:
        try:
            assert server.stdout is not None
            url = re.search(r"ws://\S+", server.stdout.readline())[0]
            client = Client(url)
            assert {kind for kind, _ in client.messages} == {websocket.ABNF.OPCODE_BINARY}
            assert "version:second" in client.connected.lines
            client.close()
        finally:
            server.terminate()
