"""How octets are cut into frames and lines: STOMP-ABNF-*, STOMP-FRAME-*, STOMP-BODY-*, STOMP-REPEAT-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import websocket

from conformance.marks import clauses
from conformance.suite.stomp.echo import Echo, judge_malformed, raw_frame, sending
from conformance.suite.stomp.reactions import judge_refusal, reaction
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import SERVER_COMMANDS

if TYPE_CHECKING:
    from conformance.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds that the pieces of a cut frame lie apart at least, so that they are read one by one.
PIECE_INTERVAL = 0.002
#: Octets that the header of a WebSocket message has, at most: each place in it is one to cut at.
HEADER_OCTETS = 8
#: How the lines of a frame of 1.2 may end, in turn.
LINE_ENDS = {"crlf": (b"\r\n", b"\r\n"), "crlf-first": (b"\r\n", b"\n"), "lf-first": (b"\n", b"\r\n")}


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


@clauses("STOMP-FRAME-001")
def test_lf_alone_ends_lines(bench: Bench) -> None:
    """CONNECT opens a session when its lines end with LF, not only when they end with CR LF."""
    if _connects(bench, b"\n"):
        bench.judge("STOMP-FRAME-001", True, expected="CONNECTED", observed="CONNECTED")
    elif _connects(bench, b"\r\n"):
        bench.judge(
            "STOMP-FRAME-001",
            False,
            expected="CONNECTED for a CONNECT whose lines end with LF",
            observed="CONNECTED for one whose lines end with CR LF only",
        )
    else:
        bench.skip("STOMP-FRAME-001", "the server opens no session (STOMP-CONNECT-001)")


def _connects(bench: Bench, eol: bytes) -> bool:
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items()]
    lines = ["CONNECT", *(f"{name}:{value}" for name, value in pairs if value is not None), "", ""]
    client.send_octets(eol.join(line.encode() for line in lines) + b"\0")
    try:
        client.expect("CONNECTED")
    except PeerFailure:
        return False
    return True


@clauses("STOMP-ABNF-003")
@pytest.mark.parametrize("line", [b":value", b":", b": "], ids=repr)
def test_a_header_without_a_name_is_malformed(bench: Bench, line: bytes) -> None:
    """A line that begins with its colon ends the connection, and the frame is not delivered."""
    judge_malformed(Scene(bench), "STOMP-ABNF-003", [line], expected=f"the header line {line!r} has no name")


@clauses("STOMP-ABNF-006")
def test_an_empty_value_is_delivered(bench: Bench) -> None:
    """`empty:` arrives as a header with no octets for its value."""
    echo = Echo(Scene(bench))
    echo.client.send_octets(echo.raw([b"empty:", b"full:x"], b"body"))
    message = echo.back("STOMP-ABNF-006", expected="the message with an empty header")
    bench.judge(
        "STOMP-ABNF-006",
        message.get("empty") == "" and message.get("full") == "x",
        expected="the headers empty: and full:x",
        observed=message.octets,
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


@clauses("STOMP-FRAME-002")
@pytest.mark.parametrize("ends", LINE_ENDS.values(), ids=LINE_ENDS)
def test_cr_lf_ends_lines_in_1_2(bench: Bench, ends: tuple[bytes, bytes]) -> None:
    """A session whose lines end with CR LF, or now with one and now with the other, works; no CR gets into a value."""
    scene = Scene(bench)
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items(), ("heart-beat", "0,0")]
    client.send_octets(
        _mixed(["CONNECT", *(f"{name}:{value}" for name, value in pairs if value is not None)], ends)
    )
    try:
        connected = client.expect("CONNECTED")
    except PeerFailure as failure:
        bench.judge(
            "STOMP-FRAME-002", False, expected="CONNECTED for CONNECT with CR LF", observed=failure.observed
        )
        raise
    bench.judge(
        "STOMP-FRAME-002",
        connected.get("version") in (None, bench.version),
        expected=f"a session of {bench.version}: no CR in accept-version",
        observed=connected.octets,
    )
    echo = Echo(scene)
    named = [("destination", echo.place.destination), *echo.place.headers.items()]
    lines = [f"{name}:{value}" for name, value in named]
    client.send_octets(_mixed(["SUBSCRIBE", "id:crlf", *lines], ends))
    scene.fence(client)
    client.send_octets(_mixed(["SEND", "note:bar", *lines, "tail:x"], ends, b"line\r\nline"))
    for reader in (client, echo.client):
        try:
            message = reader.expect("MESSAGE")
        except PeerFailure as failure:
            bench.judge(
                "STOMP-FRAME-002", False, expected="the message sent with CR LF", observed=failure.observed
            )
            raise
        whole = (message.get("note"), message.get("tail"), message.body)
        bench.judge(
            "STOMP-FRAME-002",
            whole == ("bar", "x", b"line\r\nline"),
            expected="note:bar, tail:x, and the body with its CR LF",
            observed=message.octets,
        )


def _mixed(lines: list[str], ends: tuple[bytes, bytes], body: bytes = b"") -> bytes:
    """A frame whose lines end with one of these in turn."""
    head = b"".join(line.encode() + ends[number % 2] for number, line in enumerate(lines))
    return head + ends[len(lines) % 2] + body + b"\0"


@clauses("STOMP-FRAME-003")
def test_a_frame_needs_no_header(bench: Bench) -> None:
    """DISCONNECT without any header ends the session without a complaint."""
    scene = Scene(bench)
    error = _error_of_disconnect(scene.client(), b"DISCONNECT\n\n\0")
    if error is not None and _error_of_disconnect(scene.client(), b"DISCONNECT\nnote:x\n\n\0") is not None:
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
        for piece in (frame[:cut], frame[cut : cut + 1], frame[cut + 1 :]):
            echo.client.link.send_raw(piece)
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


@clauses("STOMP-FRAME-008")
def test_header_names_are_matched_exactly(bench: Bench) -> None:
    """`Content-Length` and `Receipt` are headers of the user: the first counts nothing, the second asks for nothing."""
    scene = Scene(bench)
    echo = Echo(scene)
    receipt = scene.receipt()
    echo.client.send_octets(echo.raw([b"Content-Length:1", f"Receipt:{receipt}".encode()], b"hello"))
    message = echo.back("STOMP-FRAME-008", expected="the message with its whole body")
    bench.judge(
        "STOMP-FRAME-008",
        message.body == b"hello",
        expected="Content-Length not used",
        observed=message.octets,
    )
    scene.fence(echo.client)
    receipts = echo.client.take("RECEIPT")
    bench.judge("STOMP-FRAME-008", not receipts, expected="no RECEIPT for `Receipt`", observed=receipts)


@clauses("STOMP-FRAME-008")
def test_a_destination_in_capitals_is_none(bench: Bench) -> None:
    """A SEND that has only `Destination` is not delivered, and not receipted."""
    scene = Scene(bench)
    echo, receipt = Echo(scene), scene.receipt()
    word = bench.fresh("nowhere").encode()
    octets = echo.raw([f"receipt:{receipt}".encode()], word).replace(b"\ndestination:", b"\nDestination:")
    found = reaction(scene, sending(scene, octets), receipt)
    bench.judge(
        "STOMP-FRAME-008", not found.receipts, expected="no RECEIPT without a destination", observed=found
    )
    echo.judge_nothing("STOMP-FRAME-008", word, "nothing sent to `Destination`")


@clauses("STOMP-FRAME-009")
@pytest.mark.parametrize(
    "line", [b"foo:a\rb", b"f\roo:a", b"foo:a\r", b"foo:\r"], ids=["value", "name", "doubled", "only"]
)
def test_a_stray_cr_is_malformed_in_1_2(bench: Bench, line: bytes) -> None:
    """A CR that no LF follows ends the connection; in the doubled one the second CR belongs to the line end."""
    eol = b"\r\n" if line.endswith(b"\r") else b"\n"
    judge_malformed(
        Scene(bench),
        "STOMP-FRAME-009",
        [line],
        eol=eol,
        expected=f"a CR without LF in the header line {line!r}",
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j", b"destination", b"\\n"], ids=repr)
def test_a_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """Such a line ends the connection; neither the headers behind it nor the body have an effect."""
    judge_malformed(
        Scene(bench), "STOMP-FRAME-010", [line], expected=f"the header line {line!r} has no colon"
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j"], ids=repr)
def test_a_last_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """It makes no difference that all other lines came before it."""
    scene = Scene(bench)
    echo = Echo(scene)
    word = bench.fresh("refused").encode()
    octets = echo.raw(body=word).replace(b"\n\n" + word, b"\n" + line + b"\n\n" + word)
    found = reaction(scene, sending(scene, octets))
    bench.judge(
        "STOMP-FRAME-010",
        found.closed is not None,
        expected="the end of the connection: no colon",
        observed=found,
    )
    judge_refusal(scene, found)
    echo.judge_nothing("STOMP-FRAME-010", word, "nothing of the malformed frame delivered")


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


@clauses("STOMP-REPEAT-001", "STOMP-REPEAT-002")
def test_the_first_of_repeated_headers_counts(bench: Bench) -> None:
    """Of two user headers with one name the first is the value; whether the second is passed on is recorded."""
    echo = Echo(Scene(bench))
    echo.client.send_octets(echo.raw([b"note:first", b"other:x", b"note:second"], b"body"))
    message = echo.back()
    notes = message.all("note")
    if echo.scene.applies("STOMP-REPEAT-001"):
        bench.judge(
            "STOMP-REPEAT-001",
            notes[:1] == ["first"],
            expected="note:first in front",
            observed=message.octets,
        )
    bench.observe("STOMP-REPEAT-002", f"a later entry is {'passed on' if len(notes) > 1 else 'dropped'}")


@clauses("STOMP-REPEAT-001")
def test_the_first_content_length_counts(bench: Bench) -> None:
    """`content-length:5` followed by `content-length:1`: the body has five octets."""
    echo = Echo(Scene(bench))
    echo.client.send_octets(echo.raw([b"content-length:5", b"content-length:1"], b"he\0lo"))
    message = echo.maybe()
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == b"he\0lo",
        expected="the five octets that the first content-length counts",
        observed=message.octets if message else "no message",
    )


@clauses("STOMP-REPEAT-001")
def test_the_first_receipt_counts(bench: Bench) -> None:
    """Of two `receipt` headers the first is the one that is granted."""
    scene = Scene(bench)
    if not scene.has_receipts:
        bench.skip("STOMP-REPEAT-001", "the server grants no receipts")
        return
    echo = Echo(scene)
    echo.client.send_octets(echo.raw([b"receipt:first", b"receipt:second"], b"body"))
    receipt = echo.client.expect(
        "RECEIPT", where=lambda frame: frame.get("receipt-id") in ("first", "second")
    )
    bench.judge(
        "STOMP-REPEAT-001",
        receipt.get("receipt-id") == "first",
        expected="receipt-id:first",
        observed=receipt.octets,
    )


@clauses("STOMP-REPEAT-001")
def test_the_first_destination_counts(bench: Bench) -> None:
    """Of two `destination` headers the message goes to the first."""
    scene = Scene(bench)
    first, second = Echo(scene), Echo(scene)
    word = bench.fresh("repeated").encode()
    lines = [line for line in second.raw().split(b"\n") if line.startswith(b"destination:")]
    octets = first.raw(body=word).replace(b"\n\n" + word, b"\n" + lines[0] + b"\n\n" + word)
    sender = scene.client()
    sender.send_octets(octets)
    message = first.maybe(within=bench.patience)
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == word,
        expected="the message at the first destination",
        observed=message.octets if message else "nothing there",
    )
    second.judge_nothing("STOMP-REPEAT-001", word, "nothing at the second destination")
