"""Many small parts: of bodies, trailers and messages, of names that stay; all count against the bound of the server."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.server.test_command_line import running
from tests.server.test_memory import BOUND, MIB, MOST, refused_soon, resident, send_on
from tests.server.wire import TEXT, Ended, Http, Stomp, frame, request, stomp_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server.test_command_line import Running

LONG = "x" * 32_000
CHUNKED = request("POST", "/topic/add-topic", None, Transfer_Encoding="chunked")


@pytest.fixture
def server() -> Iterator[Running]:
    """A server that may keep 64 MiB."""
    with running("--port", "0", "--total-bytes", str(BOUND)) as started:
        yield started


def tiny_chunks(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(Http.to(server))
            client.send(CHUNKED + b"2\r\nab\r\n" * (MIB // 2 - 100))
        with Http.to(server) as client:
            assert client.get("/health").status == 200


def a_trailer_without_end(server: Running) -> None:
    with Http.to(server) as client:
        client.send(CHUNKED + b"0\r\nX: ")
        send_on(client, b"x" * MIB, 20)
        with contextlib.suppress(Ended):
            assert client.answer().status == 431


def a_chunk_extension_without_end(server: Running) -> None:
    with Http.to(server) as client:
        client.send(CHUNKED + b"5;")
        send_on(client, b"x" * MIB, 20)
        with contextlib.suppress(Ended):
            assert client.answer().status == 431


def names_of_transactions(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        messages: set[bool] = set()
        for _ in range(60):
            client = stack.enter_context(Stomp.to(server))
            client.connect()
            begins = [
                frame(TEXT, stomp_frame("BEGIN", {"transaction": f"{number}{LONG}"})) for number in range(99)
            ]
            send_on(client, b"".join(begins), 1)
            messages.add(refused_soon(client))
        assert messages == {False, True}


def waiting_polls(server: Running) -> None:
    """A poll for which there is no room does not wait; it is answered at once."""
    with contextlib.ExitStack() as stack:
        with Http.to(server) as client:
            client.ask("/topic/add-topic", topicName="t", partitions=1)
            client.ask("/consumer-group/add", consumer_group_name="g")
            client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
            client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="t")
        poll = json.dumps({"consumer_name": "c", "wait_seconds": 30}).encode()
        for _ in range(40):
            client = stack.enter_context(Stomp.to(server))
            with contextlib.suppress(Ended, OSError, AssertionError):
                client.connect()
                polls = [
                    frame(
                        TEXT,
                        stomp_frame(
                            "SEND",
                            {"destination": "/consumer/poll", "correlation-id": f"{number}{LONG}"},
                            poll,
                        ),
                    )
                    for number in range(99)
                ]
                send_on(client, b"".join(polls), 1)
                client.fence()


def heads_that_are_remembered(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(Stomp.connected(server))
            client.say("SEND", {"destination": "/topic/t", "one": LONG, "two": LONG[:-500]})
            client.fence()
        assert resident(server) < 100 * MIB


@pytest.mark.parametrize(
    "attack",
    [
        tiny_chunks, a_trailer_without_end, a_chunk_extension_without_end, names_of_transactions, waiting_polls,
        heads_that_are_remembered,
    ],
)  # fmt: skip
def test_memory_is_bounded(server: Running, attack: Callable[[Running], None]) -> None:
    """The process stays below twice the bound, and others are served during the attack and after it."""
    before = resident(server)
    attack(server)
    assert resident(server) < before + MOST
    with Http.to(server) as client:
        assert client.get("/capabilities").status == 200
