"""Limits of the server, and its reaction beyond them: STOMP-LIMIT-*.

Declared limits are exceeded by one; without them frames grow up to some MiB, and the largest that passed is recorded.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, exclusive, waits
from conformance.suite.stomp.loopback import Loopback, session_sending
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

KIB, MIB = 1 << 10, 1 << 20
#: Declared limits beyond these are not tested.
LARGEST_BODY = 32 * MIB
LARGEST_HEAD = 4 * MIB
MOST_SUBSCRIPTIONS = 5000
#: Subscriptions that are made if no limit is declared.
SOME_SUBSCRIPTIONS = 100
#: Octets of each message that an idle reader leaves unread: well below the 64 KiB that some servers allow in a frame;
#: the second for servers that allow less.
UNREAD_BODY_SIZES = (32 * KIB, 4 * KIB)
#: The close code for a WebSocket message that is too big (RFC 6455, section 7.4.1).
TOO_BIG = 1009
#: Longest time in seconds to send messages past an idle reader.
LONG_ENOUGH = 20.0
#: Seconds for which an unfinished frame is watched.
WATCH = 3.5


def record_limit(
    fixture: StompFixture,
    clause: str,
    what: str,
    sizes: Sequence[int],
    build: Callable[[Loopback, int, bytes], bytes],
) -> None:
    """Record the size up to which frames are delivered; judge STOMP-LIMIT-004 by the first that is refused.

    `build` makes a SEND of a size, whose body begins with the given word.
    """
    passed, seen, judged = 0, "", False
    for size in sizes:
        loopback = Loopback(fixture)
        word = fixture.bench.fresh("w").encode()
        octets = build(loopback, size, word)
        found = reaction(fixture, session_sending(fixture, octets))
        if found.error is None and found.closed and found.closed.code == TOO_BIG:
            seen = f"{size} are too many for a WebSocket message (STOMP-WS-015)"
            break
        if found.is_refusal:
            fixture.judge(
                "STOMP-LIMIT-004",
                found.is_error_and_close,
                expected=f"ERROR and the end of the connection for {size} {what}",
                observed=found,
            )
            loopback.expect_no_message("STOMP-LIMIT-004", word, "no effect of a frame beyond the limit")
            judge_refusal_rules(fixture, found)
            seen, judged = f"{size} are refused", True
            break
        if not found.served_later_frames:
            seen = f"{size} are not answered"
            break
        message = loopback.message_or_none()
        if message is None or message.body != octets.partition(b"\n\n")[2][:-1]:
            fixture.judge(
                "STOMP-LIMIT-004",
                False,
                expected=f"a frame with {size} {what} delivered as it was, or refused",
                observed=f"a body of {len(message.body)} octets" if message else "no message",
            )
            seen, judged = f"{size} are not delivered whole", True
            break
        passed = size
    fixture.observe(clause, f"{passed} {what} pass{f', {seen}' if seen else ''}")
    if not judged:
        fixture.skip("STOMP-LIMIT-004", f"no limit was found: {passed} {what} pass")


@clauses("STOMP-LIMIT-001", "STOMP-LIMIT-004")
def test_the_number_of_headers(bench: Bench) -> None:
    """Send more and more headers. Recorded: the limit. Beyond it expect an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    limit = bench.limit("headers")
    sizes = [10, 100, 1000] if limit is None or limit > LARGEST_HEAD // 16 else [int(limit), int(limit) + 1]

    def build(loopback: Loopback, size: int, word: bytes) -> bytes:
        others = len(loopback.destination.all_headers)
        headers = b"\n".join(b"h%d:x" % number for number in range(size - others))
        return loopback.octets(b"SEND\n<headers>\n<destination>\n\n<word>\0", headers=headers, word=word)

    record_limit(fixture, "STOMP-LIMIT-001", "headers", sizes, build)


@clauses("STOMP-LIMIT-002", "STOMP-LIMIT-004")
def test_the_length_of_a_header_line(bench: Bench) -> None:
    """Send longer header lines. Recorded: the limit. Beyond it expect an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    limit = bench.limit("header_bytes")
    is_known = limit is not None and limit <= LARGEST_HEAD
    # A limit on the whole head may come with a smaller one on a line, so a quarter of it counts as delivered.
    sizes = [int(limit) // 4, int(limit) + 1] if limit and is_known else [KIB, 8 * KIB, 64 * KIB, MIB]

    def build(loopback: Loopback, size: int, word: bytes) -> bytes:
        value = b"x" * (size - len(b"long:"))
        return loopback.octets(b"SEND\nlong:<value>\n<destination>\n\n<word>\0", value=value, word=word)

    record_limit(fixture, "STOMP-LIMIT-002", "octets in a header line", sizes, build)


@clauses("STOMP-LIMIT-003", "STOMP-LIMIT-004")
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
def test_the_size_of_a_body(bench: Bench, counted: bool) -> None:
    """Send larger and larger bodies. Recorded: the limit. Beyond it expect an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    limit = bench.limit("body_bytes")
    is_known = limit is not None and limit <= LARGEST_BODY
    sizes = (
        [int(limit), int(limit) + 1]
        if limit and is_known
        else [16 * KIB, 64 * KIB, MIB, bench.examples(2, 4, 16) * MIB]
    )

    def build(loopback: Loopback, size: int, word: bytes) -> bytes:
        template = b"SEND\n<destination>\n\n<body>\0"
        if counted:
            template = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
        return loopback.octets(template, length=size, body=word + b"x" * (size - len(word)))

    record_limit(fixture, "STOMP-LIMIT-003", "octets in a body", sizes, build)


@clauses("STOMP-LIMIT-005", "STOMP-SUB-002")
def test_the_number_of_subscriptions(bench: Bench) -> None:
    """Send one SUBSCRIBE more than the declared limit. Recorded: a refusal, which must be an ERROR and the end."""
    fixture = StompFixture(bench)
    limit = bench.limit("subscriptions")
    is_known = limit is not None and limit <= MOST_SUBSCRIPTIONS
    count = int(limit) + 1 if limit is not None and is_known else SOME_SUBSCRIPTIONS
    destination = fixture.topic()
    receipts = [fixture.new_receipt() for _ in range(count)]

    def provoke() -> StompClient:
        client = fixture.client()
        for receipt in receipts:
            client.subscribe(destination.name, [*destination.headers.items(), ("receipt", receipt)])
        return client

    found = reaction(fixture, provoke)
    declared = f"{limit:g} subscriptions of a connection are declared" if is_known else "no limit is declared"
    if not found.is_refusal:
        bench.observe("STOMP-LIMIT-005", f"{declared}, {count} are possible")
        bench.skip("STOMP-SUB-002", f"{count} subscriptions of a connection are possible")
        return
    granted = {frame.get("receipt-id") for frame in found.other_frames if frame.command == "RECEIPT"}
    refused = next((receipt for receipt in receipts if receipt not in granted), receipts[-1])
    number = receipts.index(refused) + 1
    seen = f"number {number} is refused" if fixture.has_receipts else f"one of {count} is refused"
    bench.observe("STOMP-LIMIT-005", f"{declared}, {seen}")
    fixture.judge(
        "STOMP-SUB-002",
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for a subscription that can't be created ({seen})",
        observed=found,
    )
    judge_refusal_rules(fixture, found, refused)


@clauses("STOMP-LIMIT-007", "STOMP-LIMIT-006")
@exclusive
def test_a_client_that_does_not_read(bench: Bench) -> None:
    """Send to a client that doesn't read, and to others; expect no delay for the others. Recorded: its fate."""
    fixture = StompFixture(bench)
    idle, reader, elsewhere = fixture.client(), Loopback(fixture), Loopback(fixture)
    fixture.active_subscription(idle, reader.destination)
    sender = fixture.client()
    body = _longest_delivered_body(fixture)
    whole = bench.examples(6, 10, 32) * MIB  # systems keep some 4 MiB by themselves
    portions = whole // len(body)
    patience = bench.patience_for(len(body))
    started = time.monotonic()
    sent = 0
    # Fewer are enough on a slow network: the test is whether the others are kept waiting.
    while sent < portions and time.monotonic() < started + LONG_ENOUGH:
        fixture.send(sender, reader.destination, body)
        delayed = reader.message_or_none(lambda frame: frame.body == body, patience) is None
        if not delayed and sent % 16 == 0:
            elsewhere.send(body="elsewhere")
            delayed = elsewhere.message_or_none(within=patience) is None
        if delayed:
            bench.judge(
                "STOMP-LIMIT-007",
                False,
                expected="messages for the other clients",
                observed=f"none for {patience:g} s, {sent * len(body) // KIB} KiB behind",
            )
            break
        sent += 1
    else:
        seconds = time.monotonic() - started
        bench.judge("STOMP-LIMIT-007", True, expected="messages", observed=f"all within {seconds:.1f} s")
    bench.observe("STOMP-LIMIT-006", f"{_fate(idle, sent, len(body))} (of {sent * len(body) // KIB} KiB)")


def _longest_delivered_body(fixture: StompFixture) -> bytes:
    """A body of the largest size in UNREAD_BODY_SIZES that the server delivers."""
    for size in UNREAD_BODY_SIZES[:-1]:
        loopback, body = Loopback(fixture), b"x" * size
        loopback.send(body=body)
        if loopback.message_or_none(within=fixture.bench.patience_for(size)) is not None:
            return body
    return b"x" * UNREAD_BODY_SIZES[-1]


def _fate(idle: StompClient, portions: int, size: int) -> str:
    """The fate of a client that didn't read, found out by reading at last."""
    came = 0
    try:
        while came < portions:
            idle.expect("MESSAGE")
            came += 1
    except PeerFailure:
        told = "with an ERROR" if idle.errors else "without an ERROR"
        end = f"cut off {told}" if idle.closed or idle.errors else "left without the rest"
        return f"{end} after {came * size // KIB} KiB"
    return "kept, and got everything when it read at last"


@clauses("STOMP-LIMIT-008")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("which", ["first", "later"])
def test_a_frame_that_does_not_end(bench: Bench, which: str) -> None:
    """Send the beginning of a first or later frame, and no more. Recorded: the end of the connection."""
    fixture = StompFixture(bench)
    declared = bench.target.timings.first_frame_timeout
    if which == "first":
        client = bench.stomp(connect=False)
        client.send_octets(b"CONNECT\naccept-version:")
        against = f", first_frame_timeout is {declared:g} s" if declared is not None else ""
    else:
        client = fixture.client()
        client.send_octets(b"SEND\ndestination:")
        against = ""
    since = time.monotonic()
    client.listen(WATCH)
    ended = time.monotonic() - since
    seen = (
        f"closed after {ended:.0f} to {ended + 1:.0f} s"
        if client.closed
        else f"not closed within {WATCH:g} s"
    )
    bench.observe("STOMP-LIMIT-008", f"an unfinished {which} frame: {seen}{against}")
