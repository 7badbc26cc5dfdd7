"""Checkers of producer acknowledgements: PUB-ACK."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.events import AckSubscription, Fence, ProducerAck, Publish
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

Label = str | int


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
    for acks in index.of_type(ProducerAck):
        found[acks.subscription].acks[acks.label].append(acks)
    for fence in index.of_type(Fence):
        found[fence.subscription].fences.append(fence)
    for publish in index.of_type(Publish):
        for stream in found.values():
            if stream.subscribed.topic == publish.topic:
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
            acks = [one for one in acks if one.outcome == "ACK"]
            failures = [one for one in acks if one.outcome == "FAILED"]
            for of_outcome in (acks, failures):
                if publishes and len(of_outcome) > len(publishes) and label is not None:
                    yield Anomaly(
                        "acknowledged twice",
                        "PUB-ACK-4",
                        f"{label!r} was published {len(publishes)} times and told {of_outcome[0].outcome} "
                        f"{len(of_outcome)} times",
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
            for one in acks:
                wrong = [
                    publish
                    for publish in publishes
                    if (publish.refused if one.outcome == "ACK" else publish.succeeded)
                ]
                if publishes and len(wrong) == len(publishes):
                    clause = "PUB-ACK-5" if one.outcome == "ACK" else "PUB-ACK-3"
                    yield Anomaly(
                        "acknowledged wrongly",
                        clause,
                        f"{label!r} was acknowledged by {one.outcome}, but the reply was {wrong[0].status}",
                        (*wrong, one),
                    )


def acknowledged_to_others(index: HistoryIndex) -> Iterator[Anomaly]:
    """An acknowledgement arrived for a label that was not published to the topic before (PUB-ACK-7).

    Anomaly: no publish with the label was invoked on the topic of the subscription before it arrived.

    No false alarm: the topic is new, and all its publishes are in the history.
    """
    for stream in index.cached(ack_streams):
        for label, acks in stream.acks.items():
            publishes = stream.publishes.get(label, [])
            for one in acks:
                sent = [publish for publish in publishes if not one.before(publish)]
                if label is not None and not sent:
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
        for label, publishes in stream.publishes.items():
            for publish in publishes:
                fence = next((fence for fence in stream.fences if publish.before(fence)), None)
                if (
                    publish.succeeded
                    and fence is not None
                    and stream.subscribed.before(publish)
                    and len(publishes) == 1
                    and not stream.acks.get(label)
                ):
                    yield Anomaly(
                        "never acknowledged",
                        stream.subscribed.clause,
                        f"{label!r} was stored, and {stream.subscribed.subscription} got no acknowledgement of it",
                        (stream.subscribed, publish, fence),
                    )
