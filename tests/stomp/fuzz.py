"""Random and mutated octets against pure sessions, which must raise nothing, keep bounds and write valid frames.

    python -m tests.stomp.fuzz --streams 1000000 [--seed 7]

A stream is a handful of frames, well formed at first, then mutated and cut in pieces. Some sessions share a
broker; a failure prints the options that repeat it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

from reference_server.stomp import Hub, Session, StompLimits
from tests.stomp.peers import ToyOperations, read

if TYPE_CHECKING:
    from reference_server.stomp.subscriptions import Delivery

LIMITS = StompLimits(
    headers=12,
    header_line_bytes=120,
    header_bytes=400,
    body_bytes=300,
    subscriptions=4,
    unacknowledged=6,
    transactions=2,
    transaction_frames=6,
    transaction_bytes=600,
    destinations=5,
    queue_messages=40,
    queue_bytes=6000,
    output_window=2000,
)
STREAMS_PER_HUB = 10

_CONNECTS = [
    b"CONNECT\naccept-version:1.%d\nhost:h\nheart-beat:1000,1000\n\n\0" % minor for minor in range(3)
] + [b"STOMP\r\naccept-version:1.0,1.1,1.2\r\nhost:h\r\n\r\n\0", b"CONNECT\n\n\0"]
_FRAMES = [
    b"SEND\ndestination:/queue/a\nreceipt:1\nx:a\\cb\\\\\n\nbody\0",
    b"SEND\ndestination:/queue/a\ncontent-length:5\n\na\0b\0c\0",
    b"SEND\ndestination:/topic/a\ntransaction:t\nreceipt:\xc3\xa4\n\n\xff\xfe\0",
    b"SEND\r\ndestination:/topic/a\r\nempty:\r\nx:1\r\nx:2\r\n\r\nline\n\nline\r\n\r\n\0",
    b"SEND\ndestination:/producer/publish/t\nreceipt:2\n\n{}\0",
    b"SEND\ndestination:/producer/publish/missing\n\n{}\0",
    b'SEND\ndestination:/consumer/poll\nreceipt:3\n\n{"wait_seconds":5}\0',
    b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\nreceipt:4\n\n\0",
    b"SUBSCRIBE\nid:2\ndestination:/queue/a\nack:client-individual\n\n\0",
    b"SUBSCRIBE\nid:a\\cb\ndestination:/topic/a\nack:auto\n\n\0",
    b"SUBSCRIBE\nid:r\ndestination:/user/queue/replies\n\n\0",
    b"SUBSCRIBE\ndestination:/topic/acknowledgment/t\n\n\0",
    b"UNSUBSCRIBE\nid:1\nreceipt:5\n\n\0",
    b"UNSUBSCRIBE\ndestination:/queue/a\n\n\0",
    b"ACK\nid:%d\nmessage-id:%d\nsubscription:1\n\n\0",
    b"ACK\nid:%d\nmessage-id:%d\nsubscription:2\ntransaction:t\n\n\0",
    b"NACK\nid:%d\nmessage-id:%d\nsubscription:1\nreceipt:6\n\n\0",
    b"BEGIN\ntransaction:t\n\n\0",
    b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nx\0COMMIT\ntransaction:t\n\n\0",
    b"BEGIN\ntransaction:t\n\n\0ACK\nid:%d\nmessage-id:%d\nsubscription:1\ntransaction:t\n\n\0",
    b"COMMIT\ntransaction:t\nreceipt:7\n\n\0",
    b"ABORT\ntransaction:t\n\n\0",
    b"DISCONNECT\nreceipt:77\n\n\0",
    b"DISCONNECT\nreceipt:77\n\0\n",
    b"\n\r\n",
]
_PIECES = [
    b"\0", b"\n", b"\r", b"\r\n", b":", b"\\", b"\\c", b"\\t", b"\n\n", b"\xff", b"content-length:3\n",
    b"receipt:r\n", b"transaction:t\n", b"destination:/queue/b\n", b"content-length:999999999\n", b"x" * 200,
]  # fmt: skip


_OPENINGS = [
    b"",
    b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0" + _FRAMES[0] * 3,
    b"SUBSCRIBE\nid:2\ndestination:/queue/a\nack:client-individual\n\n\0" + _FRAMES[1] * 3,
]


def compose(choose: random.Random, unsettled: list[Delivery]) -> bytes:
    """Make the octets of one part of a stream; acknowledgements mostly name unsettled messages."""
    frames = []
    for _ in range(choose.randrange(8)):
        frame = choose.choice(_FRAMES)
        if b"%d" in frame:
            known = choose.choice(unsettled) if unsettled and choose.random() < 0.9 else None
            frame %= (known.number, known.message.number) if known else (9, 9)
        frames.append(frame)
    octets = bytearray(b"".join(frames))
    for _ in range(choose.choice((0, 0, 0, 1, 1, 2, 5))):
        mutate(octets, choose)
    return bytes(octets)


def opening(choose: random.Random) -> bytes:
    """Make the octets that most streams begin with: CONNECT or STOMP, and perhaps a subscription with messages."""
    return choose.choice(_CONNECTS) + choose.choice(_OPENINGS)


def mutate(octets: bytearray, choose: random.Random) -> None:
    """Insert, remove, repeat or replace a few octets somewhere."""
    at = choose.randrange(len(octets) + 1)
    end = at + choose.randrange(12)
    match choose.randrange(5):
        case 0:
            octets[at:at] = choose.choice(_PIECES)
        case 1:
            del octets[at:end]
        case 2:
            octets[at:at] = octets[at:end] * choose.randrange(1, 4)
        case 3:
            octets[at:end] = choose.randbytes(choose.randrange(6))
        case _:
            octets[at:end] = choose.choice(_PIECES)


def run_stream(hub: Hub, choose: random.Random, now: float) -> Session:
    """Feed one stream to a new session; raises what the session raises, and AssertionError."""
    lenient = choose.random() < 0.3
    session = Session(hub, lenient=lenient, now=now)
    begin = opening(choose)
    if choose.random() < 0.8:
        converse(session, begin, choose, now)
    for _ in range(2):
        unsettled = list(session.subscriptions.unsettled.values())
        converse(session, compose(choose, unsettled), choose, now)
    return session


def converse(session: Session, octets: bytes, choose: random.Random, now: float) -> None:
    """Send octets in pieces."""
    while octets and not session.closing:
        size = choose.choice((1, 7, 64, len(octets)))
        piece, octets = octets[:size], octets[size:]
        session.handle(session.parse(piece), now, now)
        check(session)
        if choose.random() < 0.1:
            session.resume()


def check(session: Session) -> None:
    """Assert that a strict reader accepts the output, and that all bounds hold."""
    reader = session._reader
    assert len(reader._pending) <= LIMITS.header_bytes + LIMITS.body_bytes + 1
    assert len(session.subscriptions.unsettled) <= LIMITS.unacknowledged
    frames = [read(item, session.version) for item in session.take_output() if item != b"\n"]
    errors = [frame for frame in frames if frame.command == "ERROR"]
    assert errors == frames[len(frames) - len(errors) :]
    assert len(errors) <= 1
    assert session.closing or not errors


def run(streams: int, seed: int) -> None:
    """Run that many streams; raises AssertionError with the options that repeat a bad one."""
    hub = Hub(ToyOperations(), LIMITS)
    others: list[Session] = []
    first = seed
    for number in range(seed, seed + streams):
        if number % STREAMS_PER_HUB == 0:
            hub, others, first = Hub(ToyOperations(), LIMITS), [], number
        now = float(number)
        choose = random.Random(number)
        try:
            others.append(run_stream(hub, choose, now))
            if len(others) > 3:
                gone = others.pop(choose.randrange(len(others)))
                gone.lost(now)
                assert not gone.subscriptions.unsettled
            hub.tick(now)
            for session in {*hub.take_touched()}:
                check(session)
            assert len(hub.router.destinations._queues) <= LIMITS.destinations
        except Exception as error:
            repeat = f"--seed {first} --streams {number - first + 1}"
            raise AssertionError(f"{error!r}; to repeat: {repeat}") from error


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each stream has the next")
    options = parser.parse_args()
    started = time.perf_counter()
    run(options.streams, options.seed)
    print(f"{options.streams} streams, nothing found, {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
