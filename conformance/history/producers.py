"""What producers are told of their records: PUB-ACK."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.events import AckSubscription, Fence, ProducerAck, Publish
from conformance.history.index import Reading
from conformance.history.server_parameters import Anomaly

Label = str | int


@dataclass
class Listener:
    """One subscription to acknowledgements, what came to it, and the publishes of its topic by label."""

    listen: AckSubscription
    told: dict[Label | None, list[ProducerAck]] = field(default_factory=lambda: defaultdict(list))
    published: dict[Label | None, list[Publish]] = field(default_factory=lambda: defaultdict(list))
    fences: list[Fence] = field(default_factory=list)


def listeners(reading: Reading) -> Iterator[Listener]:
    """The subscriptions of a history, with what belongs to each."""
    found = {listen.listener: Listener(listen) for listen in reading.of_kind(AckSubscription)}
    for told in reading.of_kind(ProducerAck):
        found[told.listener].told[told.label].append(told)
    for fence in reading.of_kind(Fence):
        found[fence.listener].fences.append(fence)
    for publish in reading.of_kind(Publish):
        for listener in found.values():
            if listener.listen.topic == publish.topic:
                listener.published[publish.label].append(publish)
    yield from found.values()


def acknowledged_twice(reading: Reading) -> Iterator[Anomaly]:
    """One publish is acknowledged twice to a subscription, in the same words."""
    for listener in reading.once(listeners):
        for label, told in listener.told.items():
            published = listener.published.get(label, [])
            acks = [one for one in told if one.outcome == "ACK"]
            failures = [one for one in told if one.outcome == "FAILED"]
            for of_outcome in (acks, failures):
                if published and len(of_outcome) > len(published) and label is not None:
                    yield Anomaly(
                        "acknowledged twice",
                        "PUB-ACK-4",
                        f"{label!r} was published {len(published)} times and told {of_outcome[0].outcome} "
                        f"{len(of_outcome)} times",
                        (*published, *of_outcome),
                    )


def acknowledged_and_refused(reading: Reading) -> Iterator[Anomaly]:
    """One publish is told to be stored and to be refused."""
    for listener in reading.once(listeners):
        for label, told in listener.told.items():
            published = listener.published.get(label, [])
            outcomes = {one.outcome: one for one in told}
            if len(published) == 1 and len(outcomes) > 1:
                yield Anomaly(
                    "acknowledged and refused",
                    "PUB-ACK-4",
                    f"{label!r} was told {' and '.join(outcomes)}",
                    (published[0], *outcomes.values()),
                )


def acknowledged_wrongly(reading: Reading) -> Iterator[Anomaly]:
    """A refused record is told to be stored, or a stored one to be refused."""
    for listener in reading.once(listeners):
        for label, told in listener.told.items():
            published = listener.published.get(label, [])
            for one in told:
                wrong = [
                    publish
                    for publish in published
                    if (publish.refused if one.outcome == "ACK" else publish.succeeded)
                ]
                if published and len(wrong) == len(published):
                    clause = "PUB-ACK-5" if one.outcome == "ACK" else "PUB-ACK-3"
                    yield Anomaly(
                        "acknowledged wrongly",
                        clause,
                        f"{label!r} was told {one.outcome}, but the reply was {wrong[0].status}",
                        (*wrong, one),
                    )


def acknowledged_to_others(reading: Reading) -> Iterator[Anomaly]:
    """An acknowledgement comes for a label that nobody published to the topic, or before it was published."""
    for listener in reading.once(listeners):
        for label, told in listener.told.items():
            published = listener.published.get(label, [])
            for one in told:
                sent = [publish for publish in published if not one.before(publish)]
                if label is not None and not sent:
                    yield Anomaly(
                        "acknowledged to others",
                        "PUB-ACK-7",
                        f"nobody had published {label!r} to {listener.listen.topic}",
                        (listener.listen, one),
                    )


def never_acknowledged(reading: Reading) -> Iterator[Anomaly]:
    """A record was stored, and a subscription that was there before is never told."""
    for listener in reading.once(listeners):
        for label, published in listener.published.items():
            for publish in published:
                fence = next((fence for fence in listener.fences if publish.before(fence)), None)
                if (
                    publish.succeeded
                    and fence is not None
                    and listener.listen.before(publish)
                    and len(published) == 1
                    and not listener.told.get(label)
                ):
                    yield Anomaly(
                        "never acknowledged",
                        listener.listen.clause,
                        f"{label!r} was stored, and {listener.listen.listener} never heard of it",
                        (listener.listen, publish, fence),
                    )
