"""ACK, message by message: STOMP-ACK-*. Which messages one of them covers is in test_consuming."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    comes_again,
    done,
    judge_accepted,
    judge_manner,
    judge_refused,
    line_in,
    settle,
)
from conformance.suite.stomp.channel import Line, in_short, leave, read_elsewhere, redelivers
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.scene import Scene

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


def end(client: StompClient, how: str) -> None:
    """End a session by DISCONNECT, by a Close frame, or by the loss of the connection."""
    if how == "disconnect":
        leave(client)
    elif how == "close":
        client.close()
    else:
        client.link.cut()


# What an ACK does


@clauses("STOMP-ACK-001")
@MODES
@pytest.mark.parametrize("how", ["disconnect", "close", "cut"])
def test_what_was_not_acknowledged_is_not_consumed(bench: Bench, mode: str, how: str) -> None:
    """After the connection has ended, another consumer gets the messages."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-ACK-001"):
        return
    line = line_in(scene, mode)
    bodies = [message.body for message in line.outstanding(3)]
    end(line.reader, how)
    again = read_elsewhere(scene, line.place, bodies)
    bench.judge(
        "STOMP-ACK-001",
        set(bodies) <= set(again),
        expected=f"{bodies} for another consumer: nobody acknowledged them",
        observed=again,
    )


@clauses("STOMP-ACK-002")
@MODES
def test_an_ack_is_accepted(bench: Bench, mode: str) -> None:
    """An ACK that names a message as the version has it gets its RECEIPT, three times in a row."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, mode)
        for _ in range(2):
            line.reader.ack(line.carry(bench.fresh("m")))
        line.reader.ack(line.carry(bench.fresh("m")), receipt=receipt)
        return line.reader

    judge_accepted(scene, "STOMP-ACK-002", provoke, receipt, f"an ACK in mode {mode}")


@clauses("STOMP-ACK-002")
@MODES
@pytest.mark.parametrize("how", ["disconnect", "cut"])
def test_what_was_acknowledged_is_consumed(bench: Bench, mode: str, how: str) -> None:
    """It doesn't come again after the connection has ended."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-ACK-002"):
        return
    line = line_in(scene, mode)
    acknowledged = line.carry(bench.fresh("acknowledged"))
    settle(scene, line.reader, acknowledged)
    left = line.carry(bench.fresh("left"))
    end(line.reader, how)
    again = read_elsewhere(scene, line.place, [left.body])
    bench.judge(
        "STOMP-ACK-002",
        acknowledged.body not in again,
        expected=f"{acknowledged.body!r} not again: its ACK was accepted",
        observed=again,
    )


@clauses("STOMP-ACK-008")
@pytest.mark.parametrize("subscription", [False, True], ids=["without-subscription", "with-subscription"])
def test_an_ack_needs_no_subscription(bench: Bench, subscription: bool) -> None:
    """From 1.2 on the header says nothing, and does no harm."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, "client-individual")
        message = line.carry(bench.fresh("m"))
        more = [("subscription", line.subscription.id)] if subscription else []
        line.reader.ack(message, [*more, ("receipt", receipt)])
        return line.reader

    what = f"an ACK {'with' if subscription else 'without'} a subscription"
    judge_accepted(scene, "STOMP-ACK-008", provoke, receipt, what)


# What an ACK must not do


@clauses("STOMP-ACK-003", "STOMP-ERROR-009")
def test_an_ack_that_names_nothing(bench: Bench) -> None:
    """Without the header that names the message it is refused, also while there is only one to acknowledge."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, "client-individual")
        line.carry(bench.fresh("m"))
        named = [("subscription", line.subscription.id)] if bench.version == "1.1" else []
        line.reader.frame("ACK", [*named, ("receipt", receipt)])
        return line.reader

    judge_refused(scene, "STOMP-ACK-003", provoke, receipt, "an ACK that names no message")


@clauses("STOMP-ACK-009", "STOMP-ERROR-009")
def test_an_ack_without_subscription(bench: Bench) -> None:
    """On a session of 1.1 the message-id alone is not enough."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, "client-individual")
        line.reader.ack(line.carry(bench.fresh("m")), subscription=None, receipt=receipt)
        return line.reader

    judge_refused(scene, "STOMP-ACK-009", provoke, receipt, "an ACK without subscription")


@clauses("STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009")
@MODES
@pytest.mark.parametrize("kind", ["random", "another connection's", "next", "message-id"])
def test_an_ack_that_names_no_message_of_its_connection(bench: Bench, mode: str, kind: str) -> None:
    """It is refused, and neither its own connection nor another one has a message settled by it."""
    scene = Scene(bench)
    if not comes_again(scene, mode, "STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009"):
        return
    receipt = scene.receipt()
    lines: list[tuple[Line, Frame]] = []

    def provoke() -> StompClient:
        """The subscriptions of both connections have the same id, so that only the message tells them apart."""
        lines.clear()
        for _ in range(2):
            line = line_in(scene, mode, "same")
            lines.append((line, line.carry(bench.fresh("m"))))
        (own, mine), (_, other) = lines
        value = _stray(kind, bench, mine, other)
        assert value is not None
        more = [("subscription", own.subscription.id)] if bench.version == "1.1" else []
        own.reader.ack(value, [*more, ("receipt", receipt)])
        return own.reader

    if not _can_be_tried(scene, kind, mode):
        for clause in ("STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009"):
            scene.skip(clause, f"here an ACK with such an id ({kind}) names a message of its own connection")
        return
    judge_refused(scene, "STOMP-ACK-010", provoke, receipt, f"an ACK of no message ({kind})")
    _judge_nothing_settled(scene, lines, kind)


def _judge_nothing_settled(scene: Scene, lines: list[tuple[Line, Frame]], kind: str) -> None:
    for line, message in lines:
        line.reader.link.cut()
        again = read_elsewhere(scene, line.place, [message.body])
        scene.judge(
            "STOMP-ACK-004",
            message.body in again,
            expected=f"{message.body!r} again: no ACK named it but one of no message ({kind})",
            observed=again,
        )


def _name_of(message: Frame, bench: Bench) -> str:
    """By what an ACK names a message, as far as one header tells."""
    return message.get("ack" if bench.version == "1.2" else "message-id") or ""


def _stray(kind: str, bench: Bench, mine: Frame, other: Frame) -> str | None:
    """An id of that kind; None where it is one by which this connection can name a message."""
    own = _name_of(mine, bench)
    found = {
        "random": bench.fresh("nobody"),
        "another connection's": _name_of(other, bench),
        "next": re.sub(r"\d+(?!.*\d)", lambda number: str(int(number.group()) + 1), own, flags=re.DOTALL),
        "message-id": mine.get("message-id") or "" if bench.version == "1.2" else own,
    }[kind]
    return found if found and found != own else None


def _can_be_tried(scene: Scene, kind: str, mode: str) -> bool:
    """Whether the ids of this server leave room for such a mistake."""
    messages = [line_in(scene, mode).carry(scene.bench.fresh("m")) for _ in range(2)]
    return _stray(kind, scene.bench, messages[0], messages[1]) is not None


# Late, double and needless acknowledgement


@clauses("STOMP-ACK-005", "STOMP-RECEIPT-003")
@pytest.mark.parametrize("why", ["acknowledged", "covered", "negatively acknowledged"])
def test_an_ack_of_what_is_settled(bench: Bench, why: str) -> None:
    """Recorded: a second ACK is accepted, or it is refused; but not both."""
    scene = Scene(bench)
    if bench.version == "1.0":
        why = "acknowledged"
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = line_in(scene, "client" if why == "covered" else "client-individual")
        messages = line.outstanding(2 if why == "covered" else 1)
        command = "NACK" if why.startswith("neg") else "ACK"
        settle(scene, line.reader, messages[-1], command)
        line.reader.ack(messages[0], receipt=receipt)
        return line.reader

    found = reaction(scene, provoke, receipt)
    scene.observe("STOMP-ACK-005", f"an ACK of what is {why}: {in_short(found)}")
    scene.judge(
        "STOMP-RECEIPT-003",
        not (found.receipts and found.is_refusal),
        expected="a RECEIPT or a refusal, not both",
        observed=found,
    )
    judge_manner(scene, found, receipt, "a second ACK")


@clauses("STOMP-ACK-007", "STOMP-RECEIPT-003")
def test_an_ack_in_mode_auto(bench: Bench) -> None:
    """Recorded: what becomes of an ACK for a message that needs none."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = Line(scene, scene.queue())
        message = line.carry(bench.fresh("m"))
        if bench.version == "1.2":
            line.reader.ack(message.get("ack") or message.get("message-id") or "", receipt=receipt)
        else:
            line.reader.ack(message, receipt=receipt)
        return line.reader

    found = reaction(scene, provoke, receipt)
    scene.observe("STOMP-ACK-007", f"an ACK in mode auto: {in_short(found)}")
    scene.judge(
        "STOMP-RECEIPT-003",
        not (found.receipts and found.is_refusal),
        expected="a RECEIPT or a refusal, not both",
        observed=found,
    )
    judge_manner(scene, found, receipt, "an ACK in mode auto")


# In transactions


@clauses("STOMP-ACK-006")
@MODES
@pytest.mark.parametrize("how", ["commit", "abort", "disconnect", "cut"])
def test_an_ack_in_a_transaction(bench: Bench, mode: str, how: str) -> None:
    """It takes effect with the COMMIT; a transaction that ends in any other way leaves the message to others."""
    scene = Scene(bench)
    if not comes_again(scene, mode, "STOMP-ACK-006"):
        return
    line = line_in(scene, mode)
    message = line.carry(bench.fresh("acknowledged"))
    done(scene, line.reader, "BEGIN", "t")
    line.reader.ack(message, transaction="t")
    left = message
    if how in ("commit", "abort"):
        done(scene, line.reader, how.upper(), "t")
        left = line.carry(bench.fresh("left")) if how == "commit" else message
    else:
        scene.fence(line.reader)
    end(line.reader, how)
    again = read_elsewhere(scene, line.place, [left.body])
    is_due = how != "commit"
    bench.judge(
        "STOMP-ACK-006",
        (message.body in again) == is_due,
        expected=f"{message.body!r} {'' if is_due else 'not '}again: {how} ended the transaction of its ACK",
        observed=again,
    )
