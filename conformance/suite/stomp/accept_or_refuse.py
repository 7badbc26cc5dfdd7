"""Whether the server accepted a frame that it has to accept, or refused one that it has to refuse, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.suite.stomp.channel import (
    Line,
    client_mode,
    is_in_the_dark,
    is_refused,
    read_elsewhere,
    redelivers,
)
from conformance.suite.stomp.reactions import judge_refusal, reaction

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.scene import Scene
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

IN_THE_DARK = "the server has no receipts, and was silent"
MODES = pytest.mark.parametrize("mode", ["client", "client-individual"])


def line_in(scene: Scene, mode: str, identifier: str | None = None) -> Line:
    """A consumer of a fresh queue that acknowledges, on a connection of its own."""
    headers = [("ack", client_mode(scene.bench, mode))] + ([("id", identifier)] if identifier else [])
    return Line(scene, scene.queue(), headers=headers)


def comes_again(scene: Scene, mode: str, *ids: str) -> bool:
    """Whether what nobody acknowledges comes to another consumer when its connection is lost; else skips the clauses.

    It is tried once in a run for each version and mode. Where it fails, STOMP-ACK-001 says so, and what is judged by
    redelivery can't be judged.
    """
    if not redelivers(scene, *ids):
        return False
    mode = client_mode(scene.bench, mode)
    tried = f"redelivery in mode {mode} of {scene.bench.version}"
    seen = scene.bench.findings
    if tried not in seen:
        line = line_in(scene, mode)
        body = line.carry(scene.bench.fresh("control")).body
        line.reader.link.cut()
        seen.add(tried)
        if body not in read_elsewhere(scene, line.place, [body], scene.bench.patience):
            seen.add(f"no {tried}")
    if f"no {tried}" in seen:
        for clause in ids:
            scene.skip(clause, f"what nobody acknowledged in mode {mode} doesn't come again either")
        return False
    return True


def few(messages: Collection[Frame]) -> str:
    """Why a test of several messages can't be made."""
    return f"the server sends no more than {len(messages)} that are not acknowledged"


def settle(scene: Scene, client: StompClient, message: Frame, command: str = "ACK") -> None:
    """ACK or NACK a message, and see it done."""
    send = client.ack if command == "ACK" else client.nack
    if scene.has_receipts:
        receipt = scene.receipt()
        send(message, receipt=receipt)
        scene.receipted(client, receipt, command)
        return
    send(message)
    scene.fence(client)


def done(scene: Scene, client: StompClient, command: str, transaction: str) -> None:
    """BEGIN, COMMIT or ABORT a transaction, and see it done."""
    headers = [("transaction", transaction)]
    if scene.has_receipts:
        receipt = scene.receipt()
        client.frame(command, [*headers, ("receipt", receipt)])
        scene.receipted(client, receipt, command)
        return
    client.frame(command, headers)
    scene.fence(client)


def judge_accepted(scene: Scene, clause: str, provoke: Provoke, receipt: str, what: str) -> Reaction:
    """Judge that a frame that asks for `receipt` is accepted."""
    found = reaction(scene, provoke, receipt, firm=scene.has_receipts)
    if is_in_the_dark(scene, found):
        scene.skip(clause, IN_THE_DARK)
    else:
        scene.judge(clause, found.is_granted, expected=f"a RECEIPT for {what}", observed=found)
    return found


def judge_refused(scene: Scene, clause: str, provoke: Provoke, receipt: str, what: str) -> Reaction:
    """Judge that a frame is refused: it gets no RECEIPT; and how (STOMP-ERROR-009)."""
    found = reaction(scene, provoke, receipt)
    if is_in_the_dark(scene, found):
        scene.skip(clause, IN_THE_DARK)
        scene.skip("STOMP-ERROR-009", IN_THE_DARK)
    else:
        scene.judge(
            clause, is_refused(scene, found), expected=f"no RECEIPT for {what}: it is refused", observed=found
        )
        judge_manner(scene, found, receipt, what)
    return found


def judge_manner(scene: Scene, found: Reaction, receipt: str, what: str) -> None:
    """Judge how a well-formed frame was refused, if it was."""
    if not is_refused(scene, found):
        scene.skip("STOMP-ERROR-009", f"the server accepts {what}")
        return
    scene.judge(
        "STOMP-ERROR-009",
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for {what}",
        observed=found,
    )
    judge_refusal(scene, found, receipt)
