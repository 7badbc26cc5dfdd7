"""Timers: evictions in real time and on the virtual clock, and heart-beats."""

from __future__ import annotations

import math
import select
import time
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import TEXT, Http, Stomp, eventually, frame, request

if TYPE_CHECKING:
    from tests.server.conftest import Serve


def join(client: Http, name: str, group: str = "g") -> None:
    client.ask("/consumer-group/add", consumer_group_name=group)
    assert (
        client.ask("/consumer/register-consumer", consumer_group_name=group, consumer_name=name).status == 200
    )


def test_evictions_in_real_time(serve: Serve) -> None:
    """A silent consumer is evicted without a request; one with heartbeats stays (LIVE-KEEP-1, LIVE-EVICT-1)."""
    server = serve(heartbeat_timeout=0.5)
    with Http.to(server) as client:
        join(client, "silent")
        join(client, "alive")
        registered = time.monotonic()
        while "silent" in server.application._broker.consumers:
            if client.ask("/consumer/heartbeat", consumer_name="alive").status != 202:
                # An alive consumer is evicted only if this machine stood still for the whole timeout.
                assert time.monotonic() - registered > 0.5
                return
        assert time.monotonic() - registered > 0.45
        assert client.ask("/consumer/heartbeat", consumer_name="silent").status == 404


def test_an_eviction_answers_those_who_wait(serve: Serve) -> None:
    """An eviction by the timer wakes a long poll of the next owner."""
    server = serve(heartbeat_timeout=1, partitions=1)
    with Http.to(server) as client, Http.to(server) as other:
        client.ask("/topic/add-topic", topicName="news")
        client.ask("/publish/news", messageID=1, message="m")
        for name in ("holder", "next"):
            join(client, name)
            client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list="news")
        assert client.ask("/consumer/poll", consumer_name="holder").status == 200
        other.send(request("POST", "/consumer/poll", b'{"consumer_name":"next","wait_seconds":20}'))
        assert other.answer().json["redelivered"] is True


def test_the_timer_rests_after_a_poll_that_was_answered_early(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer does not run at the deadline of a long poll that has its record already, and run again without end."""
    server = serve(virtual_clock=True)
    ticks: list[float] = []
    tick = server.application.timer._tick

    def counted() -> None:
        ticks.append(time.monotonic())
        tick()

    monkeypatch.setattr(server.application.timer, "_tick", counted)
    with Http.to(server) as client, Http.to(server) as other:
        client.ask("/topic/add-topic", topicName="news")
        join(client, "c")
        client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news")
        other.send(request("POST", "/consumer/poll", b'{"consumer_name":"c","wait_seconds":1}'))
        eventually(
            lambda: server.application.operations.long_polls.deadlines.next < math.inf, "the poll waits"
        )
        client.ask("/publish/news", messageID=1, message="m")
        assert other.answer().status == 200
        eventually(lambda: len(ticks) > 0, "the timer runs at the time that it was set to")
        for _ in range(50):
            client.get("/capabilities")
        assert len(ticks) < 5


def test_the_virtual_clock(serve: Serve) -> None:
    """The virtual clock stands still until it is advanced, and everything due then happens (CLOCK-1, CLOCK-2)."""
    server = serve(virtual_clock=True, heartbeat_timeout=30)
    with Http.to(server) as client:
        join(client, "c")
        assert client.ask("/clock/advance", seconds=29.9).json == {"now": 29.9}
        assert [m["consumer_name"] for m in client.get("/consumer-groups/g").json["members"]] == ["c"]
        client.ask("/clock/advance", seconds=0.2)
        assert client.get("/consumer-groups/g").json["members"] == []
        join(client, "c")
        join(client, "d", "h")
        assert client.ask("/clock/advance", seconds=31, consumer_group_name="g").status == 200
        assert client.ask("/consumer/heartbeat", consumer_name="c").status == 404
        assert client.ask("/consumer/heartbeat", consumer_name="d").status == 202
        assert client.ask("/clock/advance", seconds=31, consumer_group_name="x").status == 404
        assert {"virtual-clock", "virtual-clock-per-group"} <= set(
            client.get("/capabilities").json["extensions"]
        )


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"seconds":-1}', b'{"seconds":"5"}', b'{"seconds":true}',
             b'{"seconds":null}', b'{"seconds":[1]}', b'{"seconds":1e10}', b'{"seconds":1,"consumer_group_name":7}']
)  # fmt: skip
def test_moves_that_are_none(serve: Serve, body: bytes) -> None:
    """Invalid advances are refused and change nothing (CLOCK-4)."""
    server = serve(virtual_clock=True)
    with Http.to(server) as client:
        answer = client.exchange(request("POST", "/clock/advance", body))
        assert answer.status == 400
        assert answer.cause in {
            "body-not-json",
            "body-not-object",
            "member-missing",
            "member-type",
            "member-value",
        }
        assert client.ask("/clock/advance", seconds=0).json == {"now": 0}


def test_heart_beats_of_the_server(serve: Serve) -> None:
    """The server sends heart-beats, each an LF in a message of its own (STOMP-HEARTBEAT-005, -006)."""
    server = serve(heartbeat_interval=0.02)
    with Stomp.connected(server, heart_beat="0,20") as client:
        for _ in range(5):
            assert client.message() == (TEXT, b"\n")
    with Stomp.connected(server, heart_beat="0,0") as client:
        assert client.fence() == []
        assert client.beats == 0


def test_a_client_whose_heart_stops(serve: Serve) -> None:
    """A client without beats gets an ERROR (STOMP-HEARTBEAT-008); other sessions go on."""
    server = serve(heartbeat_interval=0.02)
    with (
        Stomp.connected(server, heart_beat="5000,0") as other,
        Stomp.connected(server, heart_beat="100,0") as dead,
    ):
        assert dead.receive()["message"] == "silent for too long"
        assert other.fence() == []


def test_a_part_of_a_message_is_a_sign_of_life(serve: Serve) -> None:
    """A client that takes long for one WebSocket message is not silent meanwhile (STOMP-HEARTBEAT-007)."""
    server = serve(heartbeat_interval=0.02)
    octets = frame(TEXT, b"SEND\ndestination:/queue/a\nreceipt:r\n\n\0")
    with Stomp.connected(server, heart_beat="100,0") as client:
        for octet in octets[:15]:
            client.send(bytes([octet]))
            assert not select.select([client.link], [], [], 0.1)[0], "the session ended"
        client.send(octets[15:])
        assert client.expect("RECEIPT")["receipt-id"] == "r"


def test_stomp_heart_beats_are_no_sign_of_life_of_consumers(serve: Serve) -> None:
    """STOMP heart-beats are signs of life of the connection only (LIVE-SIGN-2)."""
    server = serve(heartbeat_timeout=0.2, heartbeat_interval=0.02)
    with Stomp.connected(server, heart_beat="1000,20") as client, Http.to(server) as other:
        client.subscribe("/user/queue/replies")
        client.ask("/consumer-group/add", consumer_group_name="g")
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")

        def is_gone() -> bool:
            client.send(frame(TEXT, b"\n"))
            return other.get("/consumer-groups/g").json["members"] == []

        eventually(is_gone, "it is still there")
        assert client.ask("/consumer/heartbeat", consumer_name="c")["status"] == "404"
