"""What takes effect together, or not at all: STOMP-TX-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.marks import clauses
from conformance.suite.stomp.line import Line, leave
from conformance.suite.stomp.outcomes import IN_THE_DARK, done, in_short, judge_refused, settle
from conformance.suite.stomp.reactions import judge_refusal, reaction
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conformance.bench import Bench
    from conformance.suite.stomp.reactions import Reaction
    from conformance.suite.stomp.scene import Place
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Names that are not those of an open transaction.
NOT_OPEN = ["none", "unknown", "ended", "another connection's"]
KINDS = pytest.mark.parametrize("kind", ["topic", "queue"])


def line_to(scene: Scene, kind: str = "topic") -> Line:
    """A consumer of a fresh place on a connection of its own, and a sender on another one."""
    return Line(scene, scene.queue() if kind == "queue" else scene.topic())


def send_in(scene: Scene, client: StompClient, name: str, place: Place, body: bytes | str) -> None:
    """SEND in a transaction."""
    scene.send(client, place, body, transaction=name)


def arrived(line: Line, bodies: Collection[bytes]) -> list[bytes]:
    """Which of these have come to the line by the time that a later message has."""
    came = line.scene.until_marker(line.subscription)
    return [message.body for message in came if message.body in bodies]


def judge_nothing(line: Line, clause: str, bodies: Collection[bytes], expected: str) -> None:
    """Judge that none of these has come to the line by the time that a later message has."""
    came = arrived(line, bodies)
    line.scene.judge(clause, not came, expected=expected, observed=came)


def judge_all(line: Line, clause: str, bodies: Collection[bytes]) -> None:
    """Judge that all of these come to the line, in any order."""
    for _ in bodies:
        line.scene.message(
            line.subscription, clause, lambda frame: frame.body in bodies, f"all of {sorted(bodies)}"
        )
    line.scene.judge(clause, True, expected="all messages", observed=sorted(bodies))


def words(scene: Scene, *stems: str) -> list[bytes]:
    """Bodies that nobody else sends."""
    return [scene.bench.fresh(stem).encode() for stem in stems]


# What COMMIT, ABORT and the end of a connection do


@clauses("STOMP-TX-004")
@KINDS
def test_a_message_comes_with_the_commit_and_not_before(bench: Bench, kind: str) -> None:
    """Nobody sees what was sent in a transaction, not even its own connection, until COMMIT."""
    scene = Scene(bench)
    line = line_to(scene, kind)
    bodies = words(scene, "one", "two", "three")
    done(scene, line.sender, "BEGIN", "t")
    for body in bodies:
        send_in(scene, line.sender, "t", line.place, body)
    scene.fence(line.sender)
    judge_nothing(line, "STOMP-TX-004", bodies, "nothing of the transaction before its COMMIT")
    done(scene, line.sender, "COMMIT", "t")
    judge_all(line, "STOMP-TX-004", bodies)


@clauses("STOMP-TX-006")
@KINDS
def test_nothing_comes_of_an_aborted_transaction(bench: Bench, kind: str) -> None:
    """Its messages are gone; one that was sent outside of it, between them, is there."""
    scene = Scene(bench)
    line = line_to(scene, kind)
    inside, outside = words(scene, "inside", "inside"), words(scene, "outside")
    done(scene, line.sender, "BEGIN", "t")
    send_in(scene, line.sender, "t", line.place, inside[0])
    line.send(outside[0])
    send_in(scene, line.sender, "t", line.place, inside[1])
    done(scene, line.sender, "ABORT", "t")
    judge_all(line, "STOMP-SEND-002", outside)
    judge_nothing(line, "STOMP-TX-006", inside, "nothing of the aborted transaction")


@clauses("STOMP-TX-007")
@KINDS
def test_disconnect_aborts(bench: Bench, kind: str) -> None:
    """A transaction that is open at DISCONNECT leaves nothing behind."""
    scene = Scene(bench)
    _judge_aborted(scene, kind, "STOMP-TX-007", "disconnect")


@clauses("STOMP-TX-008")
@KINDS
@pytest.mark.parametrize("how", ["close", "cut"])
def test_the_loss_of_the_connection_aborts(bench: Bench, kind: str, how: str) -> None:
    """A transaction that is open when its connection ends leaves nothing behind."""
    scene = Scene(bench)
    _judge_aborted(scene, kind, "STOMP-TX-008", how)


def _judge_aborted(scene: Scene, kind: str, clause: str, how: str) -> None:
    line = line_to(scene, kind)
    bodies = words(scene, "one", "two")
    done(scene, line.sender, "BEGIN", "t")
    for body in bodies:
        send_in(scene, line.sender, "t", line.place, body)
    scene.fence(line.sender)
    if how == "disconnect":
        leave(line.sender)
    elif how == "close":
        line.sender.close()
    else:
        line.sender.link.cut()
    for _ in range(2):  # the server may notice the end only after the first marker
        judge_nothing(line, clause, bodies, f"nothing of the transaction that was open at {how}")


@clauses("STOMP-TX-012")
def test_two_transactions_of_a_connection(bench: Bench) -> None:
    """One is committed, the other aborted, in either order; each keeps what is its own."""
    scene = Scene(bench)
    line = line_to(scene)
    for first in ("COMMIT", "ABORT"):
        kept, dropped = words(scene, "kept", "kept"), words(scene, "dropped", "dropped")
        committed, aborted = bench.fresh("t"), bench.fresh("t")
        for name in (aborted, committed):
            done(scene, line.sender, "BEGIN", name)
        for number in range(2):
            send_in(scene, line.sender, aborted, line.place, dropped[number])
            send_in(scene, line.sender, committed, line.place, kept[number])
        ends = [("COMMIT", committed), ("ABORT", aborted)]
        for command, name in ends if first == "COMMIT" else reversed(ends):
            done(scene, line.sender, command, name)
        judge_all(line, "STOMP-TX-012", kept)
        judge_nothing(line, "STOMP-TX-012", dropped, "nothing of the other transaction, which was aborted")


@clauses("STOMP-TX-010")
def test_equal_names_on_two_connections(bench: Bench) -> None:
    """The transaction of one connection is committed; that of the other is open as before, and then aborted."""
    scene = Scene(bench)
    line = line_to(scene)
    other = scene.client()
    (kept,), (dropped,) = words(scene, "kept"), words(scene, "dropped")
    for client, body in ((line.sender, kept), (other, dropped)):
        done(scene, client, "BEGIN", "same")
        send_in(scene, client, "same", line.place, body)
    scene.fence(other)
    done(scene, line.sender, "COMMIT", "same")
    judge_all(line, "STOMP-TX-010", [kept])
    judge_nothing(line, "STOMP-TX-010", [dropped], "nothing of the other connection's transaction")
    receipt = scene.receipt()
    other.abort("same", receipt=receipt)
    try:
        if scene.has_receipts:
            other.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure as failure:
        bench.judge(
            "STOMP-TX-010",
            False,
            expected="the transaction of the other connection to be open as before",
            observed=failure.observed,
        )
    judge_nothing(line, "STOMP-TX-010", [dropped], "nothing of the aborted transaction")


# All together or not at all


@clauses("STOMP-TX-003")
def test_a_commit_takes_effect_in_all_places(bench: Bench) -> None:
    """What was sent to several destinations in one transaction is all there after its COMMIT."""
    scene = Scene(bench)
    lines = [line_to(scene, kind) for kind in ("topic", "topic", "queue", "queue")]
    client = scene.client()
    bodies = [words(scene, "one", "two") for _ in lines]
    done(scene, client, "BEGIN", "t")
    for number in range(2):
        for line, own in zip(lines, bodies, strict=True):
            send_in(scene, client, "t", line.place, own[number])
    done(scene, client, "COMMIT", "t")
    for line, own in zip(lines, bodies, strict=True):
        judge_all(line, "STOMP-TX-003", own)


@clauses("STOMP-TX-003")
@pytest.mark.parametrize("spoilt", ["destination", "unknown message", "settled message"])
def test_a_transaction_with_a_step_that_fails(bench: Bench, spoilt: str) -> None:
    """All of the rest is delivered; or nothing is, and its COMMIT gets no RECEIPT."""
    scene = Scene(bench)
    refused = bench.target.refused_destination
    if spoilt == "destination" and not refused:
        bench.skip("STOMP-TX-003", "no destination is known that the server refuses")
        return
    line = line_to(scene)
    bodies: list[bytes] = []
    receipt = scene.receipt()

    def provoke() -> StompClient:
        """Every attempt with words of its own."""
        bodies[:] = words(scene, "before", "after")
        client = scene.client()
        settled = _settled(scene, client) if spoilt == "settled message" else None
        client.begin("t")
        send_in(scene, client, "t", line.place, bodies[0])
        if spoilt == "destination":
            client.send(refused, "refused", transaction="t")
        elif settled is not None:
            client.ack(settled, transaction="t")
        else:
            more = [("subscription", "nobody")] if bench.version == "1.1" else []
            client.ack(bench.fresh("nobody"), [*more, ("transaction", "t")])
        send_in(scene, client, "t", line.place, bodies[1])
        client.commit("t", receipt=receipt)
        return client

    found = reaction(scene, provoke, receipt)
    _judge_whole(line, bodies, found)


def _settled(scene: Scene, client: StompClient) -> Frame:
    """A message of this session that is acknowledged already."""
    line = Line(scene, scene.queue(), reader=client, headers=[("ack", "client")])
    message = line.carry(scene.bench.fresh("settled"))
    settle(scene, client, message)
    return message


def _judge_whole(line: Line, bodies: Sequence[bytes], found: Reaction) -> None:
    """Judge that all of a transaction came, or nothing and no success was reported."""
    came = arrived(line, bodies)
    if came and len(came) < len(bodies):
        came += arrived(line, bodies)  # the messages of a COMMIT need not arrive at the same instant
    is_whole = sorted(came) == sorted(bodies) if came else not found.receipts
    line.scene.judge(
        "STOMP-TX-003",
        is_whole,
        expected=f"all of {list(bodies)}; or nothing of it, and no RECEIPT for the COMMIT",
        observed=f"{came} came; {found}",
    )


@clauses("STOMP-TX-002", "STOMP-TX-014")
def test_a_second_begin(bench: Bench) -> None:
    """It is refused; where it isn't, the COMMIT that is reported to succeed brings what was sent before it too."""
    scene = Scene(bench)
    line = line_to(scene)
    again, receipt = scene.receipt(), scene.receipt()
    bodies: list[bytes] = []

    def provoke() -> StompClient:
        bodies[:] = words(scene, "before", "after")
        client = scene.client()
        client.begin("t")
        send_in(scene, client, "t", line.place, bodies[0])
        client.begin("t", receipt=again)
        send_in(scene, client, "t", line.place, bodies[1])
        client.commit("t", receipt=receipt)
        return client

    found = reaction(scene, provoke, receipt)
    granted = [frame for frame in found.others if frame.get("receipt-id") == again]
    if scene.has_receipts:
        bench.judge(
            "STOMP-TX-002",
            not granted,
            expected="no RECEIPT for the second BEGIN of an open transaction",
            observed=f"{len(granted)} RECEIPT for it; {found}",
        )
    else:
        bench.skip("STOMP-TX-002", IN_THE_DARK)
    if found.receipts and not found.is_refusal:
        judge_all(line, "STOMP-TX-014", bodies)
    else:
        bench.judge("STOMP-TX-014", True, expected="no success reported", observed=found)


# What must be refused


@clauses("STOMP-TX-001", "STOMP-ERROR-009")
def test_a_begin_without_name(bench: Bench) -> None:
    """It gets no RECEIPT, but an ERROR and the end of the connection."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        client = scene.client()
        client.frame("BEGIN", [("receipt", receipt)])
        return client

    judge_refused(scene, "STOMP-TX-001", provoke, receipt, "a BEGIN without transaction")


@clauses("STOMP-TX-005", "STOMP-ERROR-009")
@pytest.mark.parametrize("name", NOT_OPEN)
def test_a_commit_of_what_is_not_open(bench: Bench, name: str) -> None:
    """COMMIT is refused without a name, and with one that is not open on its connection."""
    _judge_not_open(Scene(bench), "STOMP-TX-005", "COMMIT", name)


@clauses("STOMP-TX-015", "STOMP-ERROR-009")
@pytest.mark.parametrize("name", NOT_OPEN)
def test_an_abort_of_what_is_not_open(bench: Bench, name: str) -> None:
    """ABORT is refused without a name, and with one that is not open on its connection."""
    _judge_not_open(Scene(bench), "STOMP-TX-015", "ABORT", name)


def _judge_not_open(scene: Scene, clause: str, command: str, name: str) -> None:
    receipt = scene.receipt()

    def provoke() -> StompClient:
        client = scene.client()
        if name == "ended":
            done(scene, client, "BEGIN", "t")
            done(scene, client, command, "t")
        elif name == "another connection's":
            done(scene, scene.client(), "BEGIN", "t")
        named = [] if name == "none" else [("transaction", "t")]
        client.frame(command, [*named, ("receipt", receipt)])
        return client

    judge_refused(scene, clause, provoke, receipt, f"{command} of a transaction that isn't open ({name})")


@clauses("STOMP-TX-009", "STOMP-SEND-003")
@pytest.mark.parametrize("name", ["unknown", "ended"])
def test_a_send_in_a_transaction_that_is_not_open(bench: Bench, name: str) -> None:
    """It is refused, and its message isn't delivered outside of a transaction either."""
    scene = Scene(bench)
    line = line_to(scene)
    receipt = scene.receipt()
    bodies = words(scene, "nowhere")

    def provoke() -> StompClient:
        client = scene.client()
        if name == "ended":
            done(scene, client, "BEGIN", "t")
            done(scene, client, "COMMIT", "t")
        scene.send(client, line.place, bodies[0], transaction="t", receipt=receipt)
        return client

    found = reaction(scene, provoke, receipt, firm=bench.version != "1.0")
    scene.judge(
        "STOMP-TX-009",
        not found.receipts,
        expected="no RECEIPT for a SEND in a transaction that isn't open",
        observed=found,
    )
    judge_nothing(line, "STOMP-TX-009", bodies, "no message of a transaction that isn't open")
    scene.judge(
        "STOMP-SEND-003",
        found.is_error_and_close,
        expected="ERROR and the end of the connection for a SEND in a transaction that isn't open",
        observed=found,
    )
    judge_refusal(scene, found, receipt)


@clauses("STOMP-TX-009", "STOMP-ERROR-009")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_an_answer_in_a_transaction_that_is_not_open(bench: Bench, command: str) -> None:
    """ACK and NACK are refused too, even of a message that is to be settled."""
    scene = Scene(bench)
    if bench.version == "1.0":
        command = "ACK"
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = Line(scene, scene.queue(), headers=[("ack", "client")])
        message = line.carry(bench.fresh("m"))
        send = line.reader.ack if command == "ACK" else line.reader.nack
        send(message, transaction="never-begun", receipt=receipt)
        return line.reader

    what = f"{command} in a transaction that isn't open"
    judge_refused(scene, "STOMP-TX-009", provoke, receipt, what)


# Where the text leaves a choice


@clauses("STOMP-TX-011")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_a_name_that_was_used_before(bench: Bench, end: str) -> None:
    """Recorded: whether it can be used again, and whether that works."""
    scene = Scene(bench)
    line = line_to(scene)
    receipt = scene.receipt()
    bodies = words(scene, "again")

    def provoke() -> StompClient:
        client = scene.client()
        done(scene, client, "BEGIN", "again")
        done(scene, client, end, "again")
        client.begin("again")
        send_in(scene, client, "again", line.place, bodies[0])
        client.commit("again", receipt=receipt)
        return client

    found = reaction(scene, provoke, receipt)
    came = "its message comes" if arrived(line, bodies) else "no message comes"
    scene.observe("STOMP-TX-011", f"the name of a transaction after {end}: {in_short(found)}, {came}")


@clauses("STOMP-TX-013", "STOMP-RECEIPT-001")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_the_receipt_of_a_send_in_a_transaction(bench: Bench, end: str) -> None:
    """Recorded: whether it comes at once, around the end of the transaction, or not at all; it never comes twice."""
    scene = Scene(bench)
    client, place, receipt = scene.client(), scene.topic(), scene.receipt()
    done(scene, client, "BEGIN", "t")
    scene.send(client, place, "m", transaction="t", receipt=receipt)
    scene.fence(client)
    before = _receipts(client, receipt)
    done(scene, client, end, "t")
    scene.fence(client)
    after = _receipts(client, receipt)
    when = "at once" if before else f"around {end}" if after else f"not at all by the time of {end}"
    scene.observe("STOMP-TX-013", f"the RECEIPT of a SEND in a transaction comes {when}")
    scene.judge(
        "STOMP-RECEIPT-001",
        len(before + after) < 2,
        expected="one RECEIPT for a SEND at most",
        observed=[frame.octets for frame in before + after],
    )


def _receipts(client: StompClient, receipt: str) -> list[Frame]:
    return client.take("RECEIPT", lambda frame: frame.get("receipt-id") == receipt)
