"""Octets as frames: their commands, empty lines, NULs and bodies (STOMP-ABNF-*, STOMP-FRAME-*, STOMP-BODY-*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import Loopback, session_sending
from conformance.suite.stomp.reactions import ATTEMPTS, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import SERVER_COMMANDS

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds between the pieces of a cut frame, at least, so that they are read one by one.
PIECE_INTERVAL = 0.002


@clauses("STOMP-ABNF-001", "STOMP-ABNF-002", "STOMP-FRAME-001")
def test_a_server_sends_nothing_but_frames(bench: Bench) -> None:
    """Send SENDs and a SEND without destination; expect only frames of the grammar, to the last octet."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    client = loopback.client
    seen = {"CONNECTED", "RECEIPT"} if fixture.has_receipts else {"CONNECTED"}
    for body in (b"", b"text", b"line\nline\n\n"):
        loopback.send(body=body, headers=[("note", "n")])
        seen.add(loopback.expect_message().command)
    bench.judge(
        "STOMP-FRAME-001",
        True,
        expected="frames with LF line ends obeyed",
        observed="CONNECT, SUBSCRIBE, SEND obeyed",
    )
    client.frame("SEND", [("receipt", fixture.new_receipt())], b"no destination")
    found = reaction(fixture, lambda: client)
    seen |= {frame.command for frame in [*found.receipts, *found.other_frames, *found.after_error]}
    if found.error is not None:
        seen.add("ERROR")
    bench.judge(
        "STOMP-ABNF-001",
        not client.unfinished,
        expected="nothing but frames and line ends",
        observed=f"{client.unfinished!r} at the end",
    )
    bench.judge(
        "STOMP-ABNF-002",
        seen <= SERVER_COMMANDS,
        expected=f"no commands but {', '.join(sorted(SERVER_COMMANDS))}",
        observed=sorted(seen),
    )


@clauses("STOMP-ABNF-005")
@pytest.mark.parametrize(
    "ends", [b"\n", b"\n" * 1000, b"\r\n", b"\n\r\n\n\r\n"], ids=["lf", "many", "crlf", "mixed"]
)
def test_line_ends_between_frames_mean_nothing(bench: Bench, ends: bytes) -> None:
    """Send SENDs with LFs behind each NUL, in the same message; expect as many MESSAGEs and nothing else.

    Every other frame has a content-length: where its end is counted, not searched for, the line ends come next as well.

    Line ends in a WebSocket message of their own belong to STOMP-WS-009.
    """
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    if loopback.client.version != "1.2":
        ends = ends.replace(b"\r", b"")  # a line end before 1.2 is LF alone
    for number in range(4):
        length = b"content-length:2\n" if number % 2 else b""
        octets = b"SEND\n" + length + b"<destination>\n\nm<number>\0<ends>"
        loopback.send_octets(octets, number=number, ends=ends)
    bodies = [loopback.expect_message("STOMP-ABNF-005").body for _ in range(4)]
    bench.judge(
        "STOMP-ABNF-005",
        bodies == [b"m0", b"m1", b"m2", b"m3"],
        expected="the frames around the line ends",
        observed=bodies,
    )
    fixture.fence(loopback.client)
    stray = list(loopback.client.inbox)
    bench.judge("STOMP-ABNF-005", not stray, expected="no answer to line ends", observed=stray)


@clauses("STOMP-FRAME-003")
def test_a_frame_needs_no_header(bench: Bench) -> None:
    r"""Send `DISCONNECT\n\n\0`; expect no ERROR."""
    fixture = StompFixture(bench)
    error = _error_of_disconnect(fixture.client(), b"DISCONNECT\n\n\0")
    # The last frame may get lost before the close, with or without a header on the DISCONNECT.
    for _ in range(ATTEMPTS):
        if error is None:
            break
        if _error_of_disconnect(fixture.client(), b"DISCONNECT\nnote:x\n\n\0"):
            bench.skip(
                "STOMP-FRAME-003",
                "the server complains of every DISCONNECT without receipt (STOMP-DISCONNECT-004)",
            )
            return
        error = _error_of_disconnect(fixture.client(), b"DISCONNECT\n\n\0")
    bench.judge(
        "STOMP-FRAME-003",
        error is None,
        expected="no ERROR for a DISCONNECT without headers",
        observed=error.octets if error else "no ERROR",
    )


def _error_of_disconnect(client: StompClient, octets: bytes) -> Frame | None:
    client.send_octets(octets)
    client.finish()  # the answer to the frame comes before the server's own end
    return client.errors[0] if client.errors else None


@clauses("STOMP-FRAME-004")
@pytest.mark.parametrize("command", ["DISCONNECT", "SEND"])
def test_a_nul_before_the_empty_line_ends_no_frame(bench: Bench, command: str) -> None:
    r"""Send `SEND\nreceipt:…\ndestination:…\n\0` without the empty line; expect no RECEIPT and no MESSAGE."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    client = bench.stomp(bench.target.endpoints.get("stomp"), connect=False)
    fixture.connect(client)
    receipt = fixture.new_receipt()
    template = b"SEND\nreceipt:<receipt>\n<destination>\n\0"
    if command == "DISCONNECT":
        template = b"DISCONNECT\nreceipt:<receipt>\n\0"
    client.send_octets(loopback.octets(template, version=client.version, receipt=receipt))
    client.finish()
    receipts = client.take("RECEIPT")
    bench.judge(
        "STOMP-FRAME-004",
        not receipts,
        expected="no RECEIPT for a frame without the empty line",
        observed=[frame.octets for frame in receipts],
    )
    loopback.expect_no_message("STOMP-FRAME-004", b"", "no message of a frame without the empty line")


@clauses("STOMP-FRAME-005")
def test_frames_that_arrive_together_are_all_carried_out(bench: Bench) -> None:
    """Send 50 SENDs in one write, each a message of the transport; expect 50 MESSAGEs, in any order."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    bodies = [b"m%d" % number for number in range(50)]
    frames = [loopback.octets(b"SEND\n<destination>\n\n<body>\0", body=body) for body in bodies]
    link = loopback.client.link
    link.send_pieces([link.wire(*frames)], lambda: None)
    came = [loopback.expect_message("STOMP-FRAME-005").body for _ in bodies]
    bench.judge(
        "STOMP-FRAME-005", sorted(came) == sorted(bodies), expected="each of 50 messages once", observed=came
    )


@clauses("STOMP-FRAME-005", "STOMP-BODY-002")
@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN"])
def test_a_body_on_another_frame_than_send(bench: Bench, command: str) -> None:
    """Send a SUBSCRIBE or BEGIN whose body is a SEND; expect no MESSAGE. Recorded: a refusal."""
    fixture = StompFixture(bench)
    loopback, receipt = Loopback(fixture), fixture.new_receipt()
    word = bench.fresh("smuggled").encode()
    template = {
        "SUBSCRIBE": b"SUBSCRIBE\nreceipt:<receipt>\nid:0\n<destination>\n\n<body>\0",
        "BEGIN": b"BEGIN\nreceipt:<receipt>\ntransaction:<transaction>\n<destination>\n\n<body>\0",
    }[command]
    body = loopback.octets(b"\nSEND\n<destination>\n\n<word>", version=bench.version, word=word)
    transaction = bench.fresh("transaction")
    octets = fill(
        template, fixture.topic(), bench.version, receipt=receipt, body=body, transaction=transaction
    )
    found = reaction(fixture, session_sending(fixture, octets), receipt)
    bench.observe("STOMP-BODY-002", f"{command} with a body: {'refused' if found.is_refusal else 'ignored'}")
    loopback.expect_no_message("STOMP-FRAME-005", word, "the body not read as a frame")


@clauses("STOMP-FRAME-006")
@pytest.mark.parametrize("body", [b"body", b"body" * 50], ids=["short", "long"])
def test_a_frame_may_be_cut_over_tcp_segments(bench: Bench, body: bytes) -> None:
    """Send a SEND in three writes, cut at one octet after the other; expect the MESSAGE unchanged each time."""
    loopback = Loopback(StompFixture(bench))
    note = b"caf\xc3\xa9" if bench.version != "1.0" else b"cafe"
    octets = loopback.octets(b"SEND\nnote:<note>\n<destination>\n\n<body>\0", note=note, body=body)
    link = loopback.client.link
    first, end = max(1, link.overhead), len(octets) + link.overhead
    for cut in [*range(1, first), *range(first, end, bench.examples(7, 3, 1))]:
        frame = link.wire(octets)
        pieces = [frame[:cut], frame[cut : cut + 1], frame[cut + 1 :]]
        link.send_pieces([p for p in pieces if p], lambda: loopback.client.listen(PIECE_INTERVAL))
        message = loopback.expect_message(
            "STOMP-FRAME-006", expected=f"the message that was cut after octet {cut}"
        )
        bench.judge(
            "STOMP-FRAME-006",
            (message.body, message.get("note") in ("café", "cafe")) == (body, True),
            expected=f"the message unchanged, cut after octet {cut}",
            observed=message.octets,
        )


@clauses("STOMP-FRAME-007")
@pytest.mark.parametrize("command", ["send", "Send", "SENDX", "SEN", "SEXX"])
def test_commands_are_matched_exactly(bench: Bench, command: str) -> None:
    r"""Send `SENDX\ndestination:…\n\nbody\0` or another misspelling; expect no MESSAGE."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    word = bench.fresh("misspelt").encode()
    octets = loopback.octets(b"<command>\n<destination>\n\n<body>\0", command=command, body=word)
    reaction(fixture, session_sending(fixture, octets))
    loopback.expect_no_message("STOMP-FRAME-007", word, f"nothing sent by {command}")


@clauses("STOMP-FRAME-007")
def test_connect_in_lower_case_opens_no_session(bench: Bench) -> None:
    r"""Send `connect\naccept-version:…\n\n\0`; expect no CONNECTED."""
    client = bench.stomp(connect=False)
    client.frame("connect", connect_headers(bench))
    client.finish()
    came = client.take("CONNECTED")
    bench.judge(
        "STOMP-FRAME-007", not came, expected="no CONNECTED for `connect`", observed=[f.octets for f in came]
    )


@clauses("STOMP-FRAME-011")
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_line_ends_in_front_of_connect(bench: Bench, ends: bytes) -> None:
    """Send LF or CR LF in front of CONNECT. Recorded: CONNECTED, or a refusal."""
    client = bench.stomp(connect=False)
    client.send_octets(ends)
    try:
        client.connect(bench.credentials())
        seen = "accepted"
    except PeerFailure as failure:
        seen = f"refused ({failure.observed})"
    bench.observe("STOMP-FRAME-011", f"{ends!r} in front of CONNECT: {seen}")


@clauses("STOMP-BODY-001")
def test_connected_and_receipt_have_no_body(bench: Bench) -> None:
    """Send CONNECT, and a SEND with `receipt`; expect no octets between the empty line and the NUL of the answers."""
    fixture = StompFixture(bench)
    client = fixture.client()
    frames = [client.connected]
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        fixture.send(client, fixture.topic(), "body", receipt=receipt)
        frames.append(fixture.expect_receipt(client, receipt, "SEND"))
    for frame in frames:
        assert frame is not None
        bench.judge("STOMP-BODY-001", not frame.body, expected="no body", observed=frame.octets)
