"""How octets are cut into frames, commands and bodies: STOMP-ABNF-*, STOMP-FRAME-*, STOMP-BODY-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import websocket

from conformance.bench.marks import clauses
from conformance.suite.stomp.loopback import Echo, raw_frame, sending
from conformance.suite.stomp.reactions import ATTEMPTS, reaction
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import SERVER_COMMANDS

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds that the pieces of a cut frame lie apart at least, so that they are read one by one.
PIECE_INTERVAL = 0.002
#: Octets that the header of a WebSocket message has, at most: each place in it is one to cut at.
HEADER_OCTETS = 8


def together(*messages: bytes) -> bytes:
    """Several text messages as they go over the wire, for a single write."""
    return b"".join(
        websocket.ABNF.create_frame(octets, websocket.ABNF.OPCODE_TEXT).format() for octets in messages
    )


@clauses("STOMP-ABNF-001", "STOMP-ABNF-002", "STOMP-FRAME-001")
def test_all_that_a_server_sends_is_frames(bench: Bench) -> None:
    """CONNECTED, RECEIPT, MESSAGE and, after a faulty frame, ERROR are read to their last octet by the grammar."""
    scene = Scene(bench)
    echo = Echo(scene)
    client = echo.client
    seen = {"CONNECTED", "RECEIPT"} if scene.has_receipts else {"CONNECTED"}
    for body in (b"", b"text", b"line\nline\n\n"):
        echo.send(body=body, headers=[("note", "n")])
        seen.add(echo.back().command)
    bench.judge(
        "STOMP-FRAME-001",
        True,
        expected="frames with LF line ends obeyed",
        observed="CONNECT, SUBSCRIBE, SEND obeyed",
    )
    client.frame("SEND", [("receipt", scene.receipt())], b"no destination")
    found = reaction(scene, lambda: client)
    seen |= {frame.command for frame in [*found.receipts, *found.others, *found.behind]}
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
    """Any number of line ends behind a frame is accepted; the frames before and after it are carried out.

    They stand in the same WebSocket message as the frame; those in a message of their own are STOMP-WS-009.
    """
    scene = Scene(bench)
    echo = Echo(scene)
    if echo.client.version != "1.2":
        ends = ends.replace(b"\r", b"")  # a line end before 1.2 is LF alone
    for number in range(3):
        echo.client.send_octets(echo.raw(body=b"m%d" % number) + ends)
    bodies = [echo.back("STOMP-ABNF-005").body for _ in range(3)]
    bench.judge(
        "STOMP-ABNF-005",
        bodies == [b"m0", b"m1", b"m2"],
        expected="the frames around the line ends",
        observed=bodies,
    )
    scene.fence(echo.client)
    stray = list(echo.client.inbox)
    bench.judge("STOMP-ABNF-005", not stray, expected="no answer to line ends", observed=stray)


@clauses("STOMP-FRAME-003")
def test_a_frame_needs_no_header(bench: Bench) -> None:
    """DISCONNECT without any header ends the session without a complaint."""
    scene = Scene(bench)
    error = _error_of_disconnect(scene.client(), b"DISCONNECT\n\n\0")
    # The last frame may get lost before the close, that for a DISCONNECT with a header as well.
    if error is not None and any(
        _error_of_disconnect(scene.client(), b"DISCONNECT\nnote:x\n\n\0") for _ in range(ATTEMPTS)
    ):
        bench.skip(
            "STOMP-FRAME-003",
            "the server complains of every DISCONNECT without receipt (STOMP-DISCONNECT-004)",
        )
        return
    bench.judge(
        "STOMP-FRAME-003",
        error is None,
        expected="no ERROR for a DISCONNECT without headers",
        observed=error.octets if error else "no ERROR",
    )


def _error_of_disconnect(client: StompClient, octets: bytes) -> Frame | None:
    client.send_octets(octets)
    client.link.send_close()  # what the server says to the frame comes before its own Close
    client.expect_end()
    return client.errors[0] if client.errors else None


@clauses("STOMP-FRAME-004")
@pytest.mark.parametrize("command", ["DISCONNECT", "SEND"])
def test_a_nul_before_the_empty_line_ends_no_frame(bench: Bench, command: str) -> None:
    """A frame without the empty line is not carried out: no RECEIPT, no message."""
    scene = Scene(bench)
    echo = Echo(scene)
    client = bench.stomp(bench.target.endpoints.get("stomp"), connect=False)
    scene.connect(client)
    receipt = scene.receipt()
    lines = [command, f"receipt:{receipt}"]
    if command == "SEND":
        lines += [
            f"destination:{echo.place.destination}",
            *(f"{n}:{v}" for n, v in echo.place.headers.items()),
        ]
    client.send_octets("\n".join([*lines, ""]).encode() + b"\0")
    client.link.send_close()
    client.expect_end()
    receipts = client.take("RECEIPT")
    bench.judge(
        "STOMP-FRAME-004",
        not receipts,
        expected="no RECEIPT for a frame without the empty line",
        observed=[frame.octets for frame in receipts],
    )
    echo.judge_nothing("STOMP-FRAME-004", b"", "no message of a frame without the empty line")


@clauses("STOMP-FRAME-005")
def test_frames_that_arrive_together_are_all_carried_out(bench: Bench) -> None:
    """Frames in one write, each a WebSocket message of its own, are carried out in their order."""
    scene = Scene(bench)
    echo = Echo(scene)
    bodies = [b"m%d" % number for number in range(50)]
    echo.client.link.send_raw(together(*(echo.raw(body=body) for body in bodies)))
    came = [echo.back("STOMP-FRAME-005").body for _ in bodies]
    bench.judge("STOMP-FRAME-005", came == bodies, expected="50 messages in order", observed=came)


@clauses("STOMP-FRAME-005", "STOMP-BODY-002")
@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN"])
def test_a_body_on_another_frame_than_send(bench: Bench, command: str) -> None:
    """A body where none belongs is ignored or refused, and is never read as a frame of its own."""
    scene = Scene(bench)
    echo, receipt = Echo(scene), scene.receipt()
    word = bench.fresh("smuggled").encode()
    inner = raw_frame(echo.place, body=word, version=bench.version)[:-1]
    lines = [f"receipt:{receipt}", "id:0" if command == "SUBSCRIBE" else "transaction:t"]
    place = scene.topic()
    octets = raw_frame(
        place,
        [line.encode() for line in lines],
        b"\n" + inner,
        command=command.encode(),
        version=bench.version,
    )
    found = reaction(scene, sending(scene, octets), receipt)
    bench.observe("STOMP-BODY-002", f"{command} with a body: {'refused' if found.is_refusal else 'ignored'}")
    echo.judge_nothing("STOMP-FRAME-005", word, "the body not read as a frame")


@clauses("STOMP-FRAME-006")
@pytest.mark.parametrize("body", [b"body", b"body" * 50], ids=["short", "long"])
def test_a_frame_may_be_cut_over_tcp_segments(bench: Bench, body: bytes) -> None:
    """One WebSocket message whose octets come in two or three writes means the same, wherever it is cut."""
    echo = Echo(Scene(bench))
    octets = echo.raw([b"note:caf\xc3\xa9" if bench.version != "1.0" else b"note:cafe"], body)
    end = len(octets) + HEADER_OCTETS
    for cut in [*range(1, HEADER_OCTETS), *range(HEADER_OCTETS, end, bench.examples(7, 3, 1))]:
        frame = websocket.ABNF.create_frame(octets, websocket.ABNF.OPCODE_TEXT).format()
        for begin, after in ((0, cut), (cut, cut + 1), (cut + 1, len(frame))):
            echo.client.link.send_raw(frame[begin:after], whole=after >= len(frame))
            echo.client.listen(PIECE_INTERVAL)
        message = echo.back("STOMP-FRAME-006", expected=f"the message that was cut after octet {cut}")
        bench.judge(
            "STOMP-FRAME-006",
            (message.body, message.get("note") in ("café", "cafe")) == (body, True),
            expected=f"the message unchanged, cut after octet {cut}",
            observed=message.octets,
        )


@clauses("STOMP-FRAME-007")
@pytest.mark.parametrize("command", ["send", "Send", "SENDX", "SEN", "SEXX"])
def test_commands_are_matched_exactly(bench: Bench, command: str) -> None:
    """Another spelling, a longer or a shorter word, or one of the same length is not SEND."""
    scene = Scene(bench)
    echo = Echo(scene)
    word = bench.fresh("misspelt").encode()
    octets = echo.raw(body=word, command=command.encode())
    reaction(scene, sending(scene, octets))
    echo.judge_nothing("STOMP-FRAME-007", word, f"nothing sent by {command}")


@clauses("STOMP-FRAME-007")
def test_connect_in_lower_case_opens_no_session(bench: Bench) -> None:
    """`connect` is not answered by CONNECTED."""
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items()]
    client.frame("connect", [(name, value) for name, value in pairs if value is not None])
    client.link.send_close()
    client.expect_end()
    came = client.take("CONNECTED")
    bench.judge(
        "STOMP-FRAME-007", not came, expected="no CONNECTED for `connect`", observed=[f.octets for f in came]
    )


@clauses("STOMP-FRAME-011")
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_line_ends_in_front_of_connect(bench: Bench, ends: bytes) -> None:
    """Recorded: whether a connection may begin with a line end."""
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
    """Nothing stands between the empty line and the NUL of either."""
    scene = Scene(bench)
    client = scene.client()
    frames = [client.connected]
    if scene.has_receipts:
        receipt = scene.receipt()
        scene.send(client, scene.topic(), "body", receipt=receipt)
        frames.append(scene.receipted(client, receipt, "SEND"))
    for frame in frames:
        assert frame is not None
        bench.judge("STOMP-BODY-001", not frame.body, expected="no body", observed=frame.octets)
