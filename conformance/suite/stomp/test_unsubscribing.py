"""The end of a subscription: STOMP-UNSUB-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    NO_QUEUES,
    Line,
    client_mode,
    in_short,
    is_refused,
    may_come,
    place_of,
    read_elsewhere,
    subscribing,
    unsubscribe,
)
from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.reactions import judge_refusal, reaction
from conformance.suite.stomp.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Reaction
    from conformance.suite.stomp.scene import Subscription
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]


@clauses("STOMP-UNSUB-001")
@pytest.mark.parametrize("by", ["id", "destination"])
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_a_removed_subscription_gets_nothing(bench: Bench, kind: str, by: str) -> None:
    """After the RECEIPT no message comes for it, while another subscription of the connection goes on."""
    scene = Scene(bench)
    by = by if bench.version == "1.0" else "id"
    reader, place = scene.client(), place_of(scene, kind)
    removed = Line(scene, place, reader=reader, headers=[] if by == "id" else [("id", None)])
    kept = Line(scene, reader=reader, sender=removed.sender)
    removed.carry("before")
    named = [("id", removed.subscription.id)] if by == "id" else [("destination", place.destination)]
    unsubscribe(scene, reader, [*named, *place.headers.items()])
    word = bench.fresh("after").encode()
    removed.send(word)
    came = [
        *scene.until_marker(kept.subscription, kept.sender),
        *reader.take("MESSAGE", lambda message: message.body == word),
    ]
    bad = [message.octets for message in came if message.body == word]
    bench.judge("STOMP-UNSUB-001", not bad, expected="no MESSAGE for the removed subscription", observed=bad)


@clauses("STOMP-UNSUB-002")
@pytest.mark.parametrize("named", ["nothing", "destination"])
def test_an_unsubscribe_without_id(bench: Bench, named: str) -> None:
    """It is refused, whether it names the destination, as 1.0 does, or nothing at all."""
    scene = Scene(bench)

    def headers(subscription: Subscription) -> Headers:
        if named == "nothing":
            return []
        return [("destination", subscription.place.destination), *subscription.place.headers.items()]

    _judge_refused_unsubscribe(scene, "STOMP-UNSUB-002", headers, f"that names {named} instead of an id")


@clauses("STOMP-UNSUB-002")
def test_an_unsubscribe_by_destination_of_a_subscription_without_id(bench: Bench) -> None:
    """Where a subscription needs no id (STOMP-SUB-003), it takes one to remove it all the same."""
    scene = Scene(bench)
    place, receipt = scene.topic(), scene.receipt()
    headers = [("destination", place.destination), *place.headers.items()]
    if is_refused(scene, reaction(scene, subscribing(scene, [*headers, ("receipt", receipt)]), receipt)):
        bench.skip("STOMP-UNSUB-002", "there is no subscription without id")
        return

    def provoke() -> StompClient:
        client = scene.client()
        client.frame("SUBSCRIBE", headers)
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        return client

    why = "by destination, of a subscription without id,"
    _judge_unsubscribe(scene, "STOMP-UNSUB-002", reaction(scene, provoke, receipt), receipt, why)


@clauses("STOMP-UNSUB-003")
@pytest.mark.parametrize("again", [False, True], ids=["never-used", "removed"])
def test_an_unsubscribe_of_an_unknown_id(bench: Bench, again: bool) -> None:
    """It is refused, whether the id was never used or its subscription was removed before."""
    scene = Scene(bench)

    def headers(subscription: Subscription) -> Headers:
        named = [("id", subscription.id), *subscription.place.headers.items()]
        if not again:
            return [("id", "never-used"), *subscription.place.headers.items()]
        unsubscribe(scene, subscription.client, named)
        return named

    _judge_refused_unsubscribe(scene, "STOMP-UNSUB-003", headers, "whose id names no subscription")


def _judge_refused_unsubscribe(
    scene: Scene, clause: str, headers: Callable[[Subscription], Headers], why: str
) -> None:
    receipt = scene.receipt()

    def provoke() -> StompClient:
        subscription = scene.subscribed(scene.client(), scene.topic())
        subscription.client.frame("UNSUBSCRIBE", [*headers(subscription), ("receipt", receipt)])
        return subscription.client

    _judge_unsubscribe(scene, clause, reaction(scene, provoke, receipt), receipt, why)


def _judge_unsubscribe(scene: Scene, clause: str, found: Reaction, receipt: str, why: str) -> None:
    scene.judge(clause, is_refused(scene, found), expected=f"an UNSUBSCRIBE {why} refused", observed=found)
    if is_refused(scene, found):
        scene.judge(
            "STOMP-ERROR-009",
            found.is_error_and_close,
            expected=f"ERROR and the end of the connection for an UNSUBSCRIBE {why}",
            observed=found,
        )
        judge_refusal(scene, found, receipt)


@clauses("STOMP-UNSUB-004")
def test_an_id_that_is_free_again(bench: Bench) -> None:
    """Recorded: whether it can be used for another destination, and whether that works."""
    scene = Scene(bench)
    client = scene.client()
    first = scene.subscribed(client, scene.topic(), id="again")
    unsubscribe(scene, client, [("id", first.id), *first.place.headers.items()])
    second = scene.topic()
    scene.subscribe(client, second, id="again")
    came = may_come(scene, client, second)
    if came is not None:
        seen = "accepted, and messages come"
    else:
        seen = "refused" if client.closed or client.errors else "without effect"
    bench.observe("STOMP-UNSUB-004", f"the id of a removed subscription is {seen}")


@clauses("STOMP-UNSUB-005")
def test_an_ack_after_the_subscription(bench: Bench) -> None:
    """Recorded: whether a message can be acknowledged whose subscription was removed."""
    scene = Scene(bench)
    mode = client_mode(bench, "client-individual")
    receipt = scene.receipt()

    def provoke() -> StompClient:
        line = Line(scene, scene.queue(), headers=[("ack", mode)])
        message = line.carry(bench.fresh("m"))
        unsubscribe(scene, line.reader, [("id", line.subscription.id), *line.place.headers.items()])
        line.reader.ack(message, receipt=receipt)
        return line.reader

    found = reaction(scene, provoke, receipt, patience=BRIEFLY)
    bench.observe("STOMP-UNSUB-005", f"an ACK in mode {mode} after UNSUBSCRIBE: {in_short(found)}")


@clauses("STOMP-UNSUB-005")
def test_what_was_outstanding_when_its_subscription_was_removed(bench: Bench) -> None:
    """Recorded: whether it comes to another consumer, at once or when the connection has ended."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-UNSUB-005", NO_QUEUES)
        return
    line = Line(scene, scene.queue(), headers=[("ack", "client")])
    body = line.carry(bench.fresh("m")).body
    unsubscribe(scene, line.reader, [("id", line.subscription.id), *line.place.headers.items()])
    seen = "at once"
    if body not in read_elsewhere(scene, line.place, [body], BRIEFLY):
        line.reader.link.cut()
        came = body in read_elsewhere(scene, line.place, [body], BRIEFLY)
        seen = "when the connection has ended" if came else "never"
    bench.observe("STOMP-UNSUB-005", f"what was outstanding at UNSUBSCRIBE comes to another consumer: {seen}")
