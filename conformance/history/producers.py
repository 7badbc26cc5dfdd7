"""Checkers of producer acknowledgements: PUB-ACK."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.events import NEVER, AckSubscription, Fence, ProducerAck, Publish
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

Label = str | int
#: Publishes of one label in the proof of an anomaly.
MOST_PROOFS = 20


@dataclass
class AckStream:
    """One subscription to acknowledgements: its acknowledgements and the publishes of its topic, by label."""

    subscribed: AckSubscription
    acks: dict[Label | None, list[ProducerAck]] = field(default_factory=lambda: defaultdict(list))
    publishes: dict[Label | None, list[Publish]] = field(default_factory=lambda: defaultdict(list))
    fences: list[Fence] = field(default_factory=list)


def ack_streams(index: HistoryIndex) -> Iterator[AckStream]:
    """The subscriptions of a history, each with its acknowledgements, publishes and fences."""
    found = {subscribed.subscription: AckStream(subscribed) for subscribed in index.of_type(AckSubscription)}
    of_topic: dict[str, list[AckStream]] = defaultdict(list)
    for stream in found.values():
        of_topic[stream.subscribed.topic].append(stream)
    for ack in index.of_type(ProducerAck):
        if ack.subscription in found:
            found[ack.subscription].acks[ack.label].append(ack)
    for fence in index.of_type(Fence):
        if fence.subscription in found:
            found[fence.subscription].fences.append(fence)
    for publish in index.of_type(Publish):
        for stream in of_topic.get(publish.topic, ()):
            stream.publishes[publish.label].append(publish)
    yield from found.values()


def acknowledged_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """A publish was acknowledged twice on one subscription with the same outcome (PUB-ACK-4).

    Anomaly: a label has more acknowledgements of one outcome than publishes.

    No false alarm: every publish with the label is in the history, and each has one acknowledgement.
    """
    for stream in index.cached(ack_streams):
        for label, acks in stream.acks.items():
            publishes = stream.publishes.get(label, [])
            by_outcome: dict[str, list[ProducerAck]] = {"ACK": [], "FAILED": []}
            for one in acks:
                by_outcome.setdefault(one.outcome, []).append(one)
            for outcome in ("ACK", "FAILED"):
                of_outcome = by_outcome[outcome]
                if publishes and len(of_outcome) > len(publishes) and label is not None:
                    yield Anomaly(
                        "acknowledged twice",
                        "PUB-ACK-4",
                        f"{label!r} was published {len(publishes)} times and told {outcome} {len(of_outcome)} times",
                        (*publishes, *of_outcome),
                    )


def acknowledged_and_refused(index: HistoryIndex) -> Iterator[Anomaly]:
    """A publish was acknowledged both as stored and as refused (PUB-ACK-4).

    Anomaly: acknowledgements with two outcomes arrived for a label that has one publish.

    No false alarm: labels with several publishes don't count.
    """
    for stream in index.cached(ack_streams):
        for label, acks in stream.acks.items():
            publishes = stream.publishes.get(label, [])
            outcomes = {one.outcome: one for one in acks}
            if len(publishes) == 1 and len(outcomes) > 1:
                yield Anomaly(
                    "acknowledged and refused",
                    "PUB-ACK-4",
                    f"{label!r} was told {' and '.join(outcomes)}",
                    (publishes[0], *outcomes.values()),
                )


def acknowledged_wrongly(index: HistoryIndex) -> Iterator[Anomaly]:
    """A refused publish was acknowledged as stored (PUB-ACK-5), or a stored one as refused (PUB-ACK-3).

    Anomaly: the outcome contradicts the reply of every publish with the label.

    No false alarm: a publish without a reply contradicts no outcome.
    """
    for stream in index.cached(ack_streams):
        for label, acks in stream.acks.items():
            publishes = stream.publishes.get(label, [])
            all_refused = all(publish.refused for publish in publishes)
            all_stored = all(publish.succeeded for publish in publishes)
            for one in acks:
                if publishes and (all_refused if one.outcome == "ACK" else all_stored):
                    clause = "PUB-ACK-5" if one.outcome == "ACK" else "PUB-ACK-3"
                    yield Anomaly(
                        "acknowledged wrongly",
                        clause,
                        f"{label!r} was acknowledged by {one.outcome}, but the reply was {publishes[0].status}",
                        (*publishes[:MOST_PROOFS], one),
                    )


def acknowledged_to_others(index: HistoryIndex) -> Iterator[Anomaly]:
    """An acknowledgement arrived for a label that was not published to the topic before (PUB-ACK-7).

    Anomaly: no publish with the label was invoked on the topic of the subscription before it arrived.

    No false alarm: the topic is new, and all its publishes are in the history.
    """
    for stream in index.cached(ack_streams):
        for label, acks in stream.acks.items():
            sent = min((publish.invoked for publish in stream.publishes.get(label, [])), default=NEVER)
            for one in acks:
                if label is not None and one.completed < sent:
                    yield Anomaly(
                        "acknowledged to others",
                        "PUB-ACK-7",
                        f"{label!r} was not published before to {stream.subscribed.topic}",
                        (stream.subscribed, one),
                    )


def never_acknowledged(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was stored, and a subscription got no acknowledgement of it (PUB-ACK-1, PUB-ACK-2, PUB-ACK-8).

    Anomaly: a publish succeeded that was invoked after the subscription was made, a fence of the subscription was
    set after its reply, no other publish has its label, and no acknowledgement has it.

    No false alarm: the fence shows that everything sent to the subscription before has arrived.
    """
    for stream in index.cached(ack_streams):
        if not stream.fences:
            continue
        fence = max(stream.fences, key=lambda fence: fence.invoked)
        for label, publishes in stream.publishes.items():
            publish = publishes[0]
            if (
                len(publishes) == 1
                and publish.succeeded
                and publish.before(fence)
                and stream.subscribed.before(publish)
                and not stream.acks.get(label)
            ):
                yield Anomaly(
                    "never acknowledged",
                    stream.subscribed.clause,
                    f"{label!r} was stored, and {stream.subscribed.subscription} got no acknowledgement of it",
                    (stream.subscribed, publish, fence),
                )
