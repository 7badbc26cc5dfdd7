"""NACK: STOMP-NACK-*. What becomes of its messages is left to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    comes_again,
    done,
    few,
    judge_accepted,
    line_in,
    settle,
)
from conformance.suite.stomp.channel import read_elsewhere, redelivers
from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.channel import Line
    from conformance.wire.stomp import StompClient


@clauses("STOMP-NACK-001")
@MODES
def test_a_nack_is_accepted(bench: Bench, mode: str) -> None:
    """A NACK of a delivered message gets its RECEIPT."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, mode)
        line.reader.nack(line.carry(bench.fresh("m")), receipt=receipt)
        return line.reader

    judge_accepted(scene, "STOMP-NACK-001", provoke, receipt, f"a NACK in mode {mode}")


@clauses("STOMP-NACK-002")
def test_an_individual_nack_leaves_the_others_to_be_settled(bench: Bench) -> None:
    """Of three messages the second is negatively acknowledged; the others can be acknowledged as before."""
    scene = Scene(bench)
    receipts = [scene.receipt() for _ in range(2)]
    line = line_in(scene, "client-individual")
    messages = line.outstanding(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-002", few(messages))
        return
    settle(scene, line.reader, messages[1], "NACK")
    for message, receipt in zip((messages[0], messages[2]), receipts, strict=True):
        line.reader.ack(message, receipt=receipt)
        try:
            frame = line.reader.expect("RECEIPT", receipt_id=receipt)
        except PeerFailure as failure:
            bench.judge(
                "STOMP-NACK-002",
                False,
                expected="a RECEIPT for the ACK of a message that the NACK didn't name",
                observed=failure.observed,
            )
            return
        bench.judge("STOMP-NACK-002", True, expected="a RECEIPT", observed=frame)


@clauses("STOMP-NACK-002")
def test_an_individual_nack_consumes_nothing_else(bench: Bench) -> None:
    """After the loss of the connection the messages that the NACK didn't name come to another consumer."""
    scene = Scene(bench)
    if not comes_again(scene, "client-individual", "STOMP-NACK-002"):
        return
    line = line_in(scene, "client-individual")
    messages = line.outstanding(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-002", few(messages))
        return
    settle(scene, line.reader, messages[1], "NACK")
    line.reader.link.cut()
    left = {messages[0].body, messages[2].body}
    again = read_elsewhere(scene, line.place, left)
    bench.judge(
        "STOMP-NACK-002", left <= set(again), expected=f"{sorted(left)} again, at least", observed=again
    )


@clauses("STOMP-NACK-003")
def test_a_cumulative_nack_covers_what_came_before(bench: Bench) -> None:
    """Whatever becomes of the message that it names, becomes of the one before it as well."""
    scene = Scene(bench)
    if not comes_again(scene, "client", "STOMP-NACK-003"):
        return
    line = line_in(scene, "client")
    messages = line.outstanding(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-003", few(messages))
        return
    before, named, after = [message.body for message in messages]
    settle(scene, line.reader, messages[1], "NACK")
    came = _come_again(line, named, before)
    if named not in came:
        line.reader.link.cut()
        came = {body for body in read_elsewhere(scene, line.place, [after]) if body != after}
    bench.judge(
        "STOMP-NACK-003",
        (before in came) == (named in came),
        expected=f"both {before!r} and {named!r} again, or neither",
        observed=sorted(came),
    )


def _come_again(line: Line, named: bytes, before: bytes) -> set[bytes]:
    """Which of these two come to the same consumer again; the one before is waited for if the named one came."""
    came: set[bytes] = set()
    while came != {named, before}:
        try:
            message = line.reader.expect(
                "MESSAGE",
                lambda frame: frame.body in {named, before} - came,
                line.scene.bench.patience if named in came else BRIEFLY,
            )
        except PeerFailure:
            break
        came.add(message.body)
    return came


@clauses("STOMP-NACK-004")
def test_a_nack_in_a_transaction(bench: Bench) -> None:
    """Recorded: when it takes effect, as far as redelivery shows, and whether ABORT undoes it."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-NACK-004"):
        return
    for how in ("COMMIT", "ABORT"):
        line = line_in(scene, "client-individual")
        message = line.carry(bench.fresh("m"))
        done(scene, line.reader, "BEGIN", "t")
        line.reader.nack(message, transaction="t")
        try:
            scene.fence(line.reader)
            at_once = _comes(line, message.body, scene.moment)
            # A server that doesn't know a NACK in a transaction may refuse it as late as here.
            (line.reader.commit if how == "COMMIT" else line.reader.abort)("t")
            scene.fence(line.reader)
        except PeerFailure as failure:
            scene.observe("STOMP-NACK-004", f"refused: {failure.observed}")
            return
        later = _comes(line, message.body, BRIEFLY)
        when = "at once" if at_once else f"after {how}" if later else f"not in sight after {how}"
        scene.observe("STOMP-NACK-004", f"the message of a NACK comes again {when}")


def _comes(line: Line, body: bytes, within: float) -> bool:
    try:
        line.reader.expect("MESSAGE", lambda frame: frame.body == body, within)
    except PeerFailure:
        return False
    return True
