"""Which names BEGIN opens, and which COMMIT, ABORT and the frames between them may use: STOMP-TX-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import IN_THE_DARK, done, judge_refused
from conformance.suite.stomp.channel import Line, in_short, is_in_the_dark, is_refused
from conformance.suite.stomp.reactions import judge_refusal, reaction
from conformance.suite.stomp.scene import Scene
from conformance.suite.stomp.transaction_steps import (
    arrived,
    judge_all,
    judge_nothing,
    line_to,
    send_in,
    words,
)

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Names that are not those of an open transaction.
NOT_OPEN = ["none", "unknown", "ended"]


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
        named = [] if name == "none" else [("transaction", "t")]
        client.frame(command, [*named, ("receipt", receipt)])
        return client

    judge_refused(scene, clause, provoke, receipt, f"{command} of a transaction that isn't open ({name})")


@clauses("STOMP-TX-010")
@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
def test_the_end_of_another_connections_transaction(bench: Bench, command: str) -> None:
    """A connection can't commit or abort what another one has begun: to it, the name is not open."""
    scene = Scene(bench)
    receipt = scene.receipt()

    def provoke() -> StompClient:
        done(scene, scene.client(), "BEGIN", "t")
        client = scene.client()
        client.frame(command, [("transaction", "t"), ("receipt", receipt)])
        return client

    what = f"{command} of another connection's transaction"
    judge_refused(scene, "STOMP-TX-010", provoke, receipt, what)


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
    if is_in_the_dark(scene, found):
        scene.skip("STOMP-TX-009", IN_THE_DARK)
    else:
        scene.judge(
            "STOMP-TX-009",
            is_refused(scene, found),
            expected="no RECEIPT for a SEND in a transaction that isn't open: it is refused",
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
