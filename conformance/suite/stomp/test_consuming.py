"""What counts as consumed, and which messages an acknowledgement covers: STOMP-SUB-007 to STOMP-SUB-012."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    NO_QUEUES,
    Line,
    client_mode,
    is_in_the_dark,
    leave,
    read_elsewhere,
    redelivers,
    settle,
)
from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


@clauses("STOMP-SUB-007")
def test_a_subscription_is_in_mode_auto_unless_it_says_so(bench: Bench) -> None:
    """What came to a subscription without `ack` doesn't come again."""
    _judge_auto(Scene(bench), "STOMP-SUB-007", [])


@clauses("STOMP-SUB-008")
def test_what_was_sent_in_mode_auto_is_consumed(bench: Bench) -> None:
    """What came to a subscription in mode auto doesn't come again."""
    _judge_auto(Scene(bench), "STOMP-SUB-008", [("ack", "auto")])


def _judge_auto(scene: Scene, clause: str, headers: Sequence[tuple[str, str | None]]) -> None:
    if not redelivers(scene, clause):
        return
    line = Line(scene, scene.queue(), headers=headers)
    bodies = [line.carry(scene.bench.fresh("m")).body for _ in range(3)]
    leave(line.reader)
    again = [body for body in read_elsewhere(scene, line.place) if body in bodies]
    scene.judge(
        clause,
        not again,
        expected="nothing for another consumer of what was delivered without a wish to acknowledge",
        observed=again,
    )


@clauses("STOMP-SUB-009")
@pytest.mark.parametrize("end", ["disconnect", "cut"])
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_what_was_not_acknowledged(bench: Bench, mode: str, end: str) -> None:
    """Recorded: whether it comes to another consumer after the connection has ended."""
    scene = Scene(bench)
    mode = client_mode(bench, mode)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-009", NO_QUEUES)
        return
    line = Line(scene, scene.queue(), headers=[("ack", mode)])
    body = line.carry(bench.fresh("m")).body
    if end == "cut":
        line.reader.link.cut()
    else:
        leave(line.reader)
    within = None if bench.target.fact("redelivers") else BRIEFLY
    came = body in read_elsewhere(scene, line.place, [body], within)
    seen = "comes to another consumer" if came else "doesn't come again"
    bench.observe("STOMP-SUB-009", f"what was not acknowledged in mode {mode} {seen} ({end})")


@clauses("STOMP-SUB-010", "STOMP-ACK-001")
def test_a_cumulative_ack_covers_what_came_before(bench: Bench) -> None:
    """Of three messages in mode client, of which the second was acknowledged, only the third comes again."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-SUB-010", "STOMP-ACK-001"):
        return
    line = Line(scene, scene.queue(), headers=[("ack", "client")])
    messages = _three(line, "STOMP-SUB-010")
    if messages is None:
        scene.skip("STOMP-ACK-001", "the server sends fewer than three messages that are not acknowledged")
        return
    acknowledged, rest = [m.body for m in messages[:2]], messages[2].body
    _acknowledge(scene, line.reader, messages[1])
    line.reader.link.cut()
    again = read_elsewhere(scene, line.place, [rest])
    scene.judge(
        "STOMP-ACK-001",
        rest in again,
        expected=f"{rest!r} again: it came behind the one that was acknowledged",
        observed=again,
    )
    covered = [body for body in again if body in acknowledged]
    scene.judge("STOMP-SUB-010", not covered, expected=f"only {rest!r} again", observed=f"{covered} as well")


@clauses("STOMP-SUB-011")
def test_a_cumulative_ack_leaves_other_subscriptions_alone(bench: Bench) -> None:
    """The older message of another subscription comes again after the connection was lost."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-SUB-011"):
        return
    reader = scene.client()
    older, newer = _two_subscriptions(scene, reader)
    left = older.carry(bench.fresh("left"))
    _acknowledge(scene, reader, newer.carry(bench.fresh("acknowledged")))
    reader.link.cut()
    again = read_elsewhere(scene, older.place, [left.body])
    bench.judge(
        "STOMP-SUB-011",
        left.body in again,
        expected=f"{left.body!r} again, which no ACK of its subscription covered",
        observed=again,
    )


@clauses("STOMP-SUB-011")
def test_what_another_subscription_got_can_still_be_acknowledged(bench: Bench) -> None:
    """After an ACK in one subscription, an older message of the other is acknowledged without a complaint."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-011", NO_QUEUES)
        return
    receipt = scene.receipt()

    def provoke() -> StompClient:
        reader = scene.client()
        older, newer = _two_subscriptions(scene, reader)
        left = older.carry(bench.fresh("left"))
        _acknowledge(scene, reader, newer.carry(bench.fresh("acknowledged")))
        reader.ack(left, receipt=receipt)
        return reader

    _judge_accepted(scene, "STOMP-SUB-011", provoke, receipt)


def _two_subscriptions(scene: Scene, reader: StompClient) -> tuple[Line, Line]:
    older, newer = (Line(scene, scene.queue(), reader=reader, headers=[("ack", "client")]) for _ in range(2))
    return older, newer


@clauses("STOMP-SUB-012")
def test_an_individual_ack_covers_one_message(bench: Bench) -> None:
    """Of three messages, of which the last was acknowledged, the first two come again."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-SUB-012"):
        return
    line = Line(scene, scene.queue(), headers=[("ack", "client-individual")])
    messages = _three(line, "STOMP-SUB-012")
    if messages is None:
        return
    _acknowledge(scene, line.reader, messages[2])
    line.reader.link.cut()
    left = [message.body for message in messages[:2]]
    again = read_elsewhere(scene, line.place, left)
    bench.judge(
        "STOMP-SUB-012",
        set(left) <= set(again),
        expected=f"{left} again, which no ACK named",
        observed=again,
    )


@clauses("STOMP-SUB-012")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_after_an_individual_answer_the_others_are_outstanding(bench: Bench, command: str) -> None:
    """The second of three messages is settled; the first and the third can still be acknowledged."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-012", NO_QUEUES)
        return
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = Line(scene, scene.queue(), headers=[("ack", "client-individual")])
        messages = line.outstanding(3)
        if len(messages) < 3:
            raise _TooFew(len(messages))
        (line.reader.ack if command == "ACK" else line.reader.nack)(messages[1])
        line.reader.ack(messages[0])
        line.reader.ack(messages[2], receipt=receipt)
        return line.reader

    try:
        _judge_accepted(scene, "STOMP-SUB-012", provoke, receipt)
    except _TooFew as few:
        bench.skip("STOMP-SUB-012", f"the server sends no more than {few} that are not acknowledged")


class _TooFew(Exception):
    """A server held back messages until earlier ones are acknowledged."""


def _three(line: Line, clause: str) -> Sequence[Frame] | None:
    """Three messages that are not acknowledged; skips the clause where the server sends fewer at a time."""
    messages = line.outstanding(3)
    if len(messages) == 3:
        return messages
    line.scene.skip(clause, f"the server sends no more than {len(messages)} that are not acknowledged")
    return None


def _acknowledge(scene: Scene, client: StompClient, message: Frame) -> None:
    """ACK a message, and see it done."""
    if scene.has_receipts:
        receipt = scene.receipt()
        client.ack(message, receipt=receipt)
        scene.receipted(client, receipt, "ACK")
        return
    client.ack(message)
    settle(scene, client)


def _judge_accepted(scene: Scene, clause: str, provoke: Callable[[], StompClient], receipt: str) -> None:
    found = reaction(scene, provoke, receipt, firm=scene.has_receipts)
    scene.judge(
        clause,
        found.is_granted or is_in_the_dark(scene, found),
        expected="an ACK that is accepted",
        observed=found,
    )
