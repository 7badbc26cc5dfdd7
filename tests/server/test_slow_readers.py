"""Clients that do not read are cut off at a bound, with an ERROR, and others are not affected."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.server.wire import PING, TEXT, Ended, Http, Stomp, eventually, frame, stomp_frame

if TYPE_CHECKING:
    from tests.server.conftest import Serve

BODY = b"x" * 10_000


def test_a_topic(serve: Serve) -> None:
    """A subscriber past its bound is cut off; the others get everything (STOMP-LIMIT-006)."""
    server = serve(outbox_bytes=300_000, linger=0.5)
    with Stomp.connected(server) as producer, Stomp.connected(server) as quick:
        slow = Stomp.to(server, receive_buffer=4096)
        slow.connect()
        with slow:
            for reader in (slow, quick):
                reader.subscribe("/topic/t")
            for number in range(1000):
                body = b"%d" % number + BODY
                producer.say("SEND", {"destination": "/topic/t"}, body)
                assert quick.expect("MESSAGE").body == body
            eventually(lambda: server.listener.connections == 2, "the slow reader is not cut off")
    with Stomp.connected(server) as later:
        assert later.fence() == []


def test_the_error_arrives(serve: Serve) -> None:
    """A reader that continues after it was cut off gets whole frames, the ERROR as the last, and Close."""
    server = serve(outbox_bytes=300_000, linger=20)
    with Stomp.connected(server) as producer:
        slow = Stomp.to(server, receive_buffer=4096)
        slow.connect()
        with slow:
            slow.subscribe("/topic/t")
            for _ in range(2000):
                producer.say("SEND", {"destination": "/topic/t"}, BODY)
            assert producer.fence() == []
            count = 0
            while (got := slow.receive()).command == "MESSAGE":
                assert got.body == BODY
                count += 1
            assert (got.command, got["message"]) == ("ERROR", "too slow")
            assert 0 < count < 2000
            assert slow.closed() == 1002


def test_a_queue_waits(serve: Serve) -> None:
    """A queue hands a slow subscriber no more than its window, keeps the rest, and cuts no connection off.

    STOMP-LIMIT-007.
    """
    server = serve(outbox_bytes=2_000_000)
    with Stomp.connected(server) as producer:
        slow = Stomp.to(server, receive_buffer=4096)
        slow.connect()
        with slow:
            slow.subscribe("/queue/q")
            for number in range(1000):
                producer.say("SEND", {"destination": "/queue/q"}, b"%d" % number + BODY)
            assert producer.fence() == []
            for number in range(1000):
                assert slow.expect("MESSAGE").body == b"%d" % number + BODY
            assert slow.fence() == []


def test_what_a_slow_reader_leaves_goes_to_others(serve: Serve) -> None:
    """Others get the messages that a slow reader was not handed or did not acknowledge."""
    server = serve()
    with Stomp.connected(server) as producer:
        slow = Stomp.to(server, receive_buffer=4096)
        slow.connect()
        with slow:
            slow.subscribe("/queue/q", ack="client-individual")
            for number in range(500):
                producer.say("SEND", {"destination": "/queue/q"}, b"%d" % number + BODY)
            assert producer.fence() == []
        # Before the server notices the end, messages that wait in the queue would come first.
        eventually(lambda: server.listener.connections == 1, "the slow reader is still there")
        producer.say("SUBSCRIBE", {"id": "0", "destination": "/queue/q"})
        bodies = [producer.expect("MESSAGE").body for _ in range(500)]
        assert bodies == [b"%d" % number + BODY for number in range(500)]


def test_receipts_are_output_too(serve: Serve) -> None:
    """A client that sends and never reads its receipts is cut off as well."""
    server = serve(outbox_bytes=300_000, linger=0.2)
    slow = Stomp.to(server, receive_buffer=4096)
    slow.connect()
    with slow:
        receipt = "r" * 1000
        try:
            while True:
                slow.say("SEND", {"destination": "/topic/nobody", "receipt": receipt}, b"")
        except OSError:
            pass
    eventually(lambda: server.listener.connections == 0, "it is not cut off")


def test_pongs_are_output_too(serve: Serve) -> None:
    """Pongs for a client that never reads are bounded, too."""
    server = serve(outbox_bytes=300_000, linger=0.2)
    slow = Stomp.to(server, receive_buffer=4096)
    slow.connect()
    with slow, contextlib.suppress(OSError):
        pings = frame(PING, b"x" * 125) * 100
        while True:
            slow.send(pings)
    eventually(lambda: server.listener.connections == 0, "it is not cut off")


def test_http(serve: Serve) -> None:
    """A client that requests and never reads blocks no other one, and is cut off after the idle time."""
    server = serve(idle_timeout=1)
    with Http.to(server) as busy:
        names = [f"topic-with-a-long-name-{number}" for number in range(300)]
        for name in names:
            busy.ask("/topic/add-topic", topicName=name, partitions=20)
        with Http.to(server) as slow:
            slow.link.settimeout(0.05)
            try:
                while True:
                    slow.send(b"GET /topics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
            except OSError:
                pass
            with Stomp.connected(server) as other:
                assert other.fence() == []
            eventually(lambda: server.listener.connections == 0, "it is not given up")
            with contextlib.suppress(Ended, OSError):
                slow.wait_for_end()


def test_five_at_once(serve: Serve) -> None:
    """Five clients of different kinds never read; others are served in order meanwhile, within the bound of memory."""
    server = serve(outbox_bytes=300_000, linger=0.5, idle_timeout=1, total_bytes=50_000_000)
    with contextlib.ExitStack() as stack:
        producer, quick = (stack.enter_context(Stomp.connected(server)) for _ in range(2))
        slow = [stack.enter_context(Stomp.to(server, receive_buffer=4096)) for _ in range(4)]
        for each in slow:
            each.connect()
        slow[0].subscribe("/topic/t")
        slow[1].subscribe("/topic/t", ack="client")
        slow[2].subscribe("/queue/q")
        greedy = stack.enter_context(Http.to(server))
        for each in (slow[3].link, greedy.link):
            each.settimeout(0.01)
        quick.subscribe("/topic/t")
        unread = frame(TEXT, stomp_frame("SEND", {"destination": "/topic/none", "receipt": "r" * 1000}))
        for number in range(1000):
            with contextlib.suppress(OSError):
                slow[3].link.send(unread * 10)
                greedy.link.send(b"GET /capabilities HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
            body = b"%d" % number + BODY
            producer.say("SEND", {"destination": "/queue/q"}, body)
            producer.say("SEND", {"destination": "/topic/t", "receipt": "r"}, body)
            assert producer.expect("RECEIPT")["receipt-id"] == "r"
            assert quick.expect("MESSAGE").body == body
            if number % 100 == 0:
                with Http.to(server) as http:
                    assert http.get("/health").status == 200
                assert server.application.budget.used < 50_000_000
        # The subscriber of the queue stays: the queue keeps what does not fit into its window.
        eventually(lambda: server.listener.connections == 3, "slow readers are not cut off")
        assert quick.fence() == []
        for number in range(1000):
            assert slow[2].expect("MESSAGE").body == b"%d" % number + BODY
