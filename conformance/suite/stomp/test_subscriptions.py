"""Who gets messages, and what an acknowledgement covers: STOMP-SUB-*, STOMP-UNSUB-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.marks import clauses
from conformance.suite.stomp.line import (
    Line,
    first_message,
    is_in_the_dark,
    is_refused,
    leave,
    probed,
    read_elsewhere,
)
from conformance.suite.stomp.reactions import BRIEFLY, judge_refusal, reaction
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench import Bench
    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.scene import Place, Subscription
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]

BOGUS_MODES = ["bogus", "AUTO", "client_individual", ""]
NO_QUEUES = "the server has no queue that keeps a message for another consumer"
NO_REDELIVERY = "the server doesn't deliver again what was not acknowledged, so nobody sees what was"


def place_of(scene: Scene, kind: str) -> Place:
    """A fresh queue or topic."""
    return scene.queue() if kind == "queue" else scene.topic()


def client_mode(bench: Bench, mode: str) -> str:
    """The mode in which clients acknowledge; 1.0 has only one."""
    return "client" if bench.version == "1.0" else mode


def redelivers(scene: Scene, *ids: str) -> bool:
    """Whether redelivery can be judged by; skips the clauses where not."""
    target = scene.bench.target
    reason = None
    if not target.fact("queues"):
        reason = NO_QUEUES
    elif not target.fact("redelivers"):
        reason = NO_REDELIVERY
    if reason is not None:
        for clause in ids:
            scene.skip(clause, reason)
    return reason is None


def subscribing(scene: Scene, headers: Headers) -> Provoke:
    """A new session that sends a SUBSCRIBE with these headers and no others."""

    def provoke() -> StompClient:
        client = scene.client()
        client.frame("SUBSCRIBE", headers)
        return client

    return provoke


def judge_refused_subscribe(scene: Scene, found: Reaction, receipt: str, why: str) -> None:
    """Judge STOMP-SUB-002, and what holds for every refusal."""
    scene.judge(
        "STOMP-SUB-002",
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for a SUBSCRIBE {why}",
        observed=found,
    )
    judge_refusal(scene, found, receipt)


# SUBSCRIBE


@clauses("STOMP-SUB-001")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_an_active_subscription_gets_the_messages_of_its_destination(bench: Bench, kind: str) -> None:
    """All of them, and the two subscriptions of a connection get those of their own destinations."""
    scene = Scene(bench)
    reader = scene.client()
    lines = [Line(scene, place_of(scene, kind), reader=reader) for _ in range(2)]
    sent: list[list[bytes]] = [[], []]
    for number in range(bench.examples(10, 50, 200)):
        for line, bodies in zip(lines, sent, strict=True):
            bodies.append(bench.fresh(f"m{number}").encode())
            line.send(bodies[-1])
    for line, bodies in zip(lines, sent, strict=True):
        came = [line.next("STOMP-SUB-001").body for _ in bodies]
        bench.judge(
            "STOMP-SUB-001",
            sorted(came) == sorted(bodies),
            expected=f"the {len(bodies)} messages of {line.place.destination}",
            observed=came,
        )


@clauses("STOMP-SUB-004", "STOMP-SUB-002")
def test_a_subscribe_without_destination_is_refused(bench: Bench) -> None:
    """It gets no RECEIPT and, from 1.1 on, an ERROR and the end of the connection."""
    scene = Scene(bench)
    receipt = scene.receipt()
    provoke = subscribing(scene, [("id", "without"), ("receipt", receipt)])
    found = reaction(scene, provoke, receipt, firm=bench.version != "1.0")
    if is_in_the_dark(scene, found):
        bench.skip("STOMP-SUB-004", "the server has no receipts, and was silent")
    else:
        bench.judge(
            "STOMP-SUB-004",
            not found.receipts,
            expected="no RECEIPT for a SUBSCRIBE without destination",
            observed=found,
        )
    judge_refused_subscribe(scene, found, receipt, "without destination")


@clauses("STOMP-SUB-002")
def test_a_subscribe_to_a_refused_destination_is_answered(bench: Bench) -> None:
    """The destination that the target names as refused gets an ERROR and the end of the connection."""
    scene = Scene(bench)
    refused, receipt = bench.target.refused_destination, scene.receipt()
    if not refused:
        bench.skip("STOMP-SUB-002", "no destination is known that the server refuses")
        return
    provoke = subscribing(scene, [("id", "refused"), ("destination", refused), ("receipt", receipt)])
    found = reaction(scene, provoke, receipt, firm=True)
    judge_refused_subscribe(scene, found, receipt, f"to {refused}")


@clauses("STOMP-SUB-003", "STOMP-SUB-002", "STOMP-MESSAGE-003")
def test_a_subscribe_without_id(bench: Bench) -> None:
    """It is refused; a server that takes it nevertheless names a subscription on its messages."""
    scene = Scene(bench)
    place, receipt = scene.topic(), scene.receipt()
    headers = [("destination", place.destination), *place.headers.items()]
    found = reaction(scene, subscribing(scene, [*headers, ("receipt", receipt)]), receipt, firm=True)
    bench.judge(
        "STOMP-SUB-003",
        is_refused(scene, found),
        expected="a SUBSCRIBE without id refused",
        observed=found,
    )
    if is_refused(scene, found):
        bench.skip("STOMP-MESSAGE-003", "there is no subscription without id")
        judge_refused_subscribe(scene, found, receipt, "without id")
        return
    try:
        message = first_message(scene, place, [("id", None)])
    except PeerFailure as failure:
        if scene.has_receipts:
            bench.judge(
                "STOMP-SUB-001",
                False,
                expected="a message for the subscription without id",
                observed=failure.observed,
            )
        bench.skip("STOMP-MESSAGE-003", "there is no message for a subscription without id")
        judge_refused_subscribe(scene, found, receipt, "without id, which gets no message")
        return
    bench.skip("STOMP-SUB-002", "the server can create a subscription without id")
    bench.judge(
        "STOMP-MESSAGE-003",
        message.get("subscription") is not None,
        expected="a header subscription, also where the SUBSCRIBE had no id",
        observed=message.octets,
    )


@clauses("STOMP-SUB-005", "STOMP-SUB-002")
@pytest.mark.parametrize("same", [True, False], ids=["same-destination", "other-destination"])
def test_an_id_in_use_is_refused(bench: Bench, same: bool) -> None:
    """A second SUBSCRIBE with the id of an open subscription creates none, and ends the connection."""
    scene = Scene(bench)
    first = scene.queue()  # with its headers nothing is left behind where the second fails half way
    second, receipt = first if same else scene.queue(), scene.receipt()

    def provoke() -> StompClient:
        client = scene.client()
        scene.subscribed(client, first, id="twice")
        scene.subscribe(client, second, id="twice", receipt=receipt)
        return client

    found = reaction(scene, provoke, receipt, firm=True)
    if not is_in_the_dark(scene, found):
        bench.judge(
            "STOMP-SUB-005",
            is_refused(scene, found) and not found.receipts,
            expected="a SUBSCRIBE with an id in use refused",
            observed=found,
        )
    elif same:
        bench.skip("STOMP-SUB-005", "the server has no receipts, and was silent")
    else:
        came = _may_come(scene, provoke(), second)
        bench.judge(
            "STOMP-SUB-005", came is None, expected="no second subscription with the id", observed=came
        )
    judge_refused_subscribe(scene, found, receipt, "with an id in use")


def _may_come(scene: Scene, reader: StompClient, place: Place) -> Frame | None:
    try:
        return probed(scene, reader, scene.client(), place, "second")
    except PeerFailure:
        return None


@clauses("STOMP-SUB-006")
def test_equal_ids_of_different_connections_are_different(bench: Bench) -> None:
    """Each gets the messages of its own destination, and one that ends doesn't end the other."""
    scene = Scene(bench)
    lines = [Line(scene, headers=[("id", "equal")]) for _ in range(2)]
    words = [bench.fresh("word") for _ in lines]
    for line, word in zip(lines, words, strict=True):
        line.send(word)
    for line, word in zip(lines, words, strict=True):
        _judge_only(line, [word.encode()])
    one, other = lines
    one.reader.unsubscribe("equal", one.place.headers)
    _settle(scene, one.reader)
    other.send("later")
    _judge_only(other, [b"later"])


def _judge_only(line: Line, bodies: list[bytes]) -> None:
    came = line.scene.until_marker(line.subscription, line.sender)
    line.scene.judge(
        "STOMP-SUB-006",
        [message.body for message in came] == bodies,
        expected=f"{bodies} for the subscription to {line.place.destination}",
        observed=[message.octets for message in came],
    )


def _settle(scene: Scene, client: StompClient) -> None:
    """Return when the server has worked off what a client sent, by one more subscription."""
    scene.subscribed(client, scene.topic())


@clauses("STOMP-SUB-015", "STOMP-SUB-002")
@pytest.mark.parametrize("mode", BOGUS_MODES)
def test_an_unknown_mode_is_refused(bench: Bench, mode: str) -> None:
    """A SUBSCRIBE with another `ack` than the version has is not taken for one in mode auto."""
    scene = Scene(bench)
    place, receipt = scene.topic(), scene.receipt()
    headers = [("id", "mode"), ("destination", place.destination), *place.headers.items(), ("ack", mode)]
    found = reaction(scene, subscribing(scene, [*headers, ("receipt", receipt)]), receipt, firm=True)
    bench.judge(
        "STOMP-SUB-015",
        is_refused(scene, found),
        expected=f"a SUBSCRIBE with ack:{mode} refused",
        observed=found,
    )
    if is_refused(scene, found):
        judge_refused_subscribe(scene, found, receipt, f"with ack:{mode}")
    else:
        bench.skip("STOMP-SUB-002", "the server can create a subscription in a mode that there is not")


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


# What an acknowledgement covers


@clauses("STOMP-SUB-010")
def test_a_cumulative_ack_covers_what_came_before(bench: Bench) -> None:
    """Of three messages in mode client, of which the second was acknowledged, only the third comes again."""
    scene = Scene(bench)
    if not redelivers(scene, "STOMP-SUB-010"):
        return
    line = Line(scene, scene.queue(), headers=[("ack", "client")])
    messages = _three(line, "STOMP-SUB-010")
    if messages is None:
        return
    acknowledged, rest = [m.body for m in messages[:2]], messages[2].body
    _acknowledge(scene, line.reader, messages[1])
    line.reader.link.cut()
    again = read_elsewhere(scene, line.place, [rest])
    if rest not in again:
        bench.skip("STOMP-SUB-010", "what was not acknowledged didn't come again either")
        return
    covered = [body for body in again if body in acknowledged]
    bench.judge("STOMP-SUB-010", not covered, expected=f"only {rest!r} again", observed=f"{covered} as well")


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
    _settle(scene, client)


def _judge_accepted(scene: Scene, clause: str, provoke: Callable[[], StompClient], receipt: str) -> None:
    found = reaction(scene, provoke, receipt, firm=scene.has_receipts)
    scene.judge(
        clause,
        found.is_granted or is_in_the_dark(scene, found),
        expected="an ACK that is accepted",
        observed=found,
    )


# Beyond


@clauses("STOMP-SUB-013")
def test_a_header_of_subscribe_that_nobody_knows(bench: Bench) -> None:
    """Recorded: what it does."""
    scene = Scene(bench)
    place, receipt = scene.topic(), scene.receipt()
    headers = [("id", "further"), ("destination", place.destination), *place.headers.items()]
    headers += [("x-nobody-knows", "this"), ("receipt", receipt)]
    found = reaction(scene, subscribing(scene, headers), receipt)
    bench.observe("STOMP-SUB-013", f"a SUBSCRIBE with an unknown header: {_in_short(found)}")


def _in_short(found: Reaction) -> str:
    if found.is_refusal:
        text = found.error.get("message") if found.error else None
        return f"refused ({text or 'closed without an ERROR'})"
    if found.receipts:
        return "accepted"
    return "no answer"


@clauses("STOMP-SUB-014")
def test_each_subscription_gets_its_own_copy(bench: Bench) -> None:
    """Two subscriptions of a connection to one topic get two MESSAGE frames of each message, one under either id."""
    scene = Scene(bench)
    reader, place = scene.client(), scene.topic()
    lines = [Line(scene, place, reader=reader, headers=[("id", name)]) for name in ("one", "two")]
    bodies = sorted(bench.fresh("m").encode() for _ in range(5))
    for body in bodies:
        lines[0].send(body)
    for line in lines:
        came = [line.next("STOMP-SUB-014", lambda message: message.body in bodies) for _ in bodies]
        came += scene.until_marker(line.subscription, lines[0].sender)
        bench.judge(
            "STOMP-SUB-014",
            sorted(message.body for message in came if message.body in bodies) == bodies,
            expected=f"the messages {bodies} under the id {line.subscription.id!r}, once each",
            observed=[message.body for message in came],
        )


# UNSUBSCRIBE


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
    _unsubscribe(scene, reader, [*named, *place.headers.items()])
    word = bench.fresh("after").encode()
    removed.send(word)
    came = [
        *scene.until_marker(kept.subscription, kept.sender),
        *reader.take("MESSAGE", lambda message: message.body == word),
    ]
    bad = [message.octets for message in came if message.body == word]
    bench.judge("STOMP-UNSUB-001", not bad, expected="no MESSAGE for the removed subscription", observed=bad)


def _unsubscribe(scene: Scene, client: StompClient, headers: Headers) -> None:
    """UNSUBSCRIBE, and see it done."""
    if scene.has_receipts:
        receipt = scene.receipt()
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        scene.receipted(client, receipt, "UNSUBSCRIBE")
        return
    client.frame("UNSUBSCRIBE", headers)
    _settle(scene, client)


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
        _unsubscribe(scene, subscription.client, named)
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
    _unsubscribe(scene, client, [("id", first.id), *first.place.headers.items()])
    second = scene.topic()
    scene.subscribe(client, second, id="again")
    came = _may_come(scene, client, second)
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
        _unsubscribe(scene, line.reader, [("id", line.subscription.id), *line.place.headers.items()])
        line.reader.ack(message, receipt=receipt)
        return line.reader

    found = reaction(scene, provoke, receipt, patience=BRIEFLY)
    bench.observe("STOMP-UNSUB-005", f"an ACK in mode {mode} after UNSUBSCRIBE: {_in_short(found)}")


@clauses("STOMP-UNSUB-005")
def test_what_was_outstanding_when_its_subscription_was_removed(bench: Bench) -> None:
    """Recorded: whether it comes to another consumer, at once or when the connection has ended."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-UNSUB-005", NO_QUEUES)
        return
    line = Line(scene, scene.queue(), headers=[("ack", "client")])
    body = line.carry(bench.fresh("m")).body
    _unsubscribe(scene, line.reader, [("id", line.subscription.id), *line.place.headers.items()])
    seen = "at once"
    if body not in read_elsewhere(scene, line.place, [body], BRIEFLY):
        line.reader.link.cut()
        came = body in read_elsewhere(scene, line.place, [body], BRIEFLY)
        seen = "when the connection has ended" if came else "never"
    bench.observe("STOMP-UNSUB-005", f"what was outstanding at UNSUBSCRIBE comes to another consumer: {seen}")
