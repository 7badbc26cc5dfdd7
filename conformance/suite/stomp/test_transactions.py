"""What takes effect together, or not at all: STOMP-TX-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import done, settle
from conformance.suite.stomp.channel import Line, leave
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.scene import Scene
from conformance.suite.stomp.transaction_steps import (
    arrived,
    judge_all,
    judge_nothing,
    line_to,
    send_in,
    words,
)
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Reaction
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

KINDS = pytest.mark.parametrize("kind", ["topic", "queue"])


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
    if spoilt == "destination":
        # What is refused elsewhere can't have been delivered: a plain success would leave it out without a word.
        scene.judge(
            "STOMP-TX-003",
            not found.is_granted,
            expected="no success for a transaction with a SEND to a destination that the server refuses",
            observed=found,
        )


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


# Where the text leaves a choice


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
