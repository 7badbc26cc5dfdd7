"""One bound for all that the server keeps: whatever clients do, the process stays near it, and serves others."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.test_command_line import running
from tests.server.wire import TEXT, Ended, Http, Stomp, eventually, frame, request, stomp_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server.test_command_line import Running

MIB = 1 << 20
BOUND = 64 * MIB
MOST = 2 * BOUND
#: Refusals for want of room: of a record, and of a request of which a half has come.
FULL = {(507, "urn:stompliance:problem:partition-full"), (503, "urn:stompliance:problem:server-full")}
BODY = b"x" * (MIB - 1000)


@pytest.fixture
def server() -> Iterator[Running]:
    """A server that may keep 64 MiB."""
    with running("--port", "0", "--total-bytes", str(BOUND), "--outbox-bytes", str(8 * MIB)) as started:
        yield started


def resident(server: Running) -> int:
    """Octets of memory that the process has, at its most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def refused(client: Stomp) -> str:
    """Read up to the ERROR; returns its message, or an empty text if the connection ended without one."""
    with contextlib.suppress(Ended):
        while (got := client.receive()).command != "ERROR":
            pass
        return got["message"]
    return ""


def send_on(client: Stomp, octets: bytes, times: int) -> None:
    """Send octets again and again, also if the server has refused them meanwhile."""
    with contextlib.suppress(OSError):
        for _ in range(times):
            client.send(octets)


def send(destination: str, body: bytes = BODY, **headers: str) -> bytes:
    return frame(TEXT, stomp_frame("SEND", {"destination": destination, **headers}, body))


def one_queue(server: Running) -> None:
    with Stomp.connected(server) as client:
        send_on(client, send("/queue/a"), 200)
        assert refused(client) == "server full"


def many_queues(server: Running) -> None:
    with Stomp.connected(server) as client:
        send_on(client, b"".join(send(f"/queue/{number}") for number in range(200)), 1)
        assert refused(client) == "server full"


def queued_headers(server: Running) -> None:
    headers = {f"h{number}": "v" * 200 for number in range(200)}
    with Stomp.connected(server) as client:
        for number in range(2000):
            send_on(client, send("/queue/a", b"", number=str(number), **headers), 1)
        assert refused(client) == "server full"


def wide_characters(server: Running) -> None:
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="t")
        body = json.dumps({"messageID": 1, "message": "😀" + "x" * (MIB // 2)}, ensure_ascii=False).encode()
        octets = request("POST", "/publish/t", body)
        statuses = [client.exchange(octets).status for _ in range(60)]
        assert statuses[-1] == 507


def small_records(server: Running) -> None:
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="t")
        octets = request("POST", "/publish/t", b'{"messageID":1000,"message":"0123456789"}')
        answers = [client.ask("/capabilities", method="GET")]
        while answers[-1].status == 200:
            client.send(octets * 2000)
            with contextlib.suppress(Ended):
                answers.extend(client.answer() for _ in range(2000))
        refusal = next(answer for answer in answers if answer.status != 200)
        assert (refusal.status, refusal.json["type"]) in FULL


def unacknowledged(server: Running) -> None:
    with Stomp.connected(server) as reader, Stomp.connected(server) as client:
        reader.subscribe("/queue/a", ack="client-individual")
        for _ in range(200):
            send_on(client, send("/queue/a"), 1)
            if refused_soon(client):
                break
            reader.expect("MESSAGE")
        else:
            raise AssertionError("nothing was refused")


def refused_soon(client: Stomp) -> bool:
    """Fence; True if an ERROR came instead."""
    try:
        return any(got.command == "ERROR" for got in client.fence())
    except (Ended, OSError, KeyError):
        return True


def transactions(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        messages = []
        for _ in range(12):
            client = stack.enter_context(Stomp.connected(server))
            client.say("BEGIN", {"transaction": "t"})
            send_on(client, send("/queue/a", transaction="t"), 14)
            with contextlib.suppress(Ended, OSError):
                client.say("BEGIN", {"transaction": "u", "receipt": "r"})
                messages.append(client.receive().headers.get("message", ""))
        assert "transaction too large" in messages


def half_frames(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            client = stack.enter_context(Stomp.connected(server))
            send_on(client, send("/queue/a")[:-10], 1)
        again = [frame(TEXT, stomp_frame("SEND", {"destination": "/queue/a"}, BODY)[:-10]) for _ in range(2)]
        for _ in range(60):
            client = stack.enter_context(Stomp.connected(server))
            send_on(client, again[0], 1)


def half_requests(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            client = stack.enter_context(Http.to(server))
            client.send(request("POST", "/topic/add-topic", None, Content_Length=str(MIB)) + BODY)


def one_to_many(server: Running) -> None:
    with Stomp.connected(server) as reader, Stomp.connected(server) as client:
        for number in range(500):
            reader.say("SUBSCRIBE", {"id": str(number), "destination": "/topic/t"})
        reader.fence()
        send_on(client, send("/topic/t"), 3)
        assert refused(reader) == "too slow"


def a_commit_to_many(server: Running) -> None:
    with Stomp.connected(server) as reader, Stomp.connected(server) as client:
        for number in range(500):
            reader.say("SUBSCRIBE", {"id": str(number), "destination": "/topic/t"})
        reader.fence()
        client.say("BEGIN", {"transaction": "t"})
        send_on(client, send("/topic/t", b"x" * 10_000, transaction="t"), 100)
        client.say("COMMIT", {"transaction": "t"})
        assert refused(client) == "server full"


def readers_that_do_not_read(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Stomp.connected(server))
        for number in range(40):
            reader = stack.enter_context(Stomp.to(server, receive_buffer=4096))
            reader.connect()
            reader.subscribe(f"/topic/{number}")
        for number in range(40):
            send_on(client, send(f"/topic/{number}"), 6)


def subscriptions(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(12):
            client = stack.enter_context(Stomp.connected(server))
            frames = [
                frame(
                    TEXT,
                    stomp_frame(
                        "SUBSCRIBE",
                        {
                            "id": f"{each}" + "i" * 20_000,
                            "destination": f"/topic/{number}{each}" + "d" * 20_000,
                        },
                    ),
                )
                for each in range(200)
            ]
            send_on(client, b"".join(frames), 1)
            refused_soon(client)


@pytest.mark.parametrize(
    "attack",
    [
        one_queue, many_queues, queued_headers, wide_characters, small_records, unacknowledged, transactions,
        half_frames, half_requests, one_to_many, a_commit_to_many, readers_that_do_not_read, subscriptions,
    ],
)  # fmt: skip
def test_memory_is_bounded(server: Running, attack: Callable[[Running], None]) -> None:
    """The process stays below twice the bound, and others are served during the attack and after it."""
    before = resident(server)
    attack(server)
    assert resident(server) < before + MOST
    with Http.to(server) as client:
        assert client.get("/capabilities").status == 200


def test_what_is_given_back(server: Running) -> None:
    """When those who held octets are gone, all of the room is there again."""
    for _ in range(3):
        for attack in (half_frames, half_requests, transactions, one_to_many):
            attack(server)

        def has_room() -> bool:
            with Stomp.connected(server) as client:
                send_on(client, send("/queue/a"), 50)
                if refused_soon(client):
                    return False
                client.say("SUBSCRIBE", {"id": "0", "destination": "/queue/a"})
                for _ in range(50):
                    client.expect("MESSAGE")
                return True

        eventually(has_room, "octets are still counted")
