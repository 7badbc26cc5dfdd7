"""Faults in the acknowledgements to producers."""

from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import ToyReply


class _AcknowledgingAdapter(ToyQueueAdapter):
    """An adapter whose `acknowledgements` of a publish and their `destinations` a fault can change."""

    SPELLINGS = ("acknowledgment", "acknowledgement")

    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        acknowledgement: dict[str, Any] = {
            "messageId": body.get("messageID"),
            "acknowledgementMessage": "ACK",
        }
        return [
            acknowledgement
            if stored
            else acknowledgement | {"acknowledgementMessage": "FAILED", "reason": "refused"}
        ]

    def destinations(self, topic: str) -> list[str]:
        return [f"/topic/{spelling}/{topic}" for spelling in self.SPELLINGS]

    def acknowledge_producer(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        for destination in self.destinations(topic):
            for watch in self.watches.get(destination, []):
                watch.bodies.extend(self.acknowledgements(body, reply.status == 200))


@breaks("publishing", "PUB-ACK-1", "PUB-ACK-3")
class KnowsOneSpelling(_AcknowledgingAdapter):
    SPELLINGS = ("acknowledgement",)


@breaks("publishing", "PUB-ACK-2", "PUB-ACK-3")
class KnowsTheOtherSpelling(_AcknowledgingAdapter):
    SPELLINGS = ("acknowledgment",)


@breaks("publishing", "PUB-ACK-3")
class SaysNothingOfRefusals(_AcknowledgingAdapter):
    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().acknowledgements(body, stored) if stored else []


@breaks("publishing", "PUB-ACK-3")
class GivesNoReason(_AcknowledgingAdapter):
    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [
            {**acknowledgement, "reason": ""} if not stored else acknowledgement
            for acknowledgement in super().acknowledgements(body, stored)
        ]


@breaks("publishing", "PUB-ACK-4")
class TellsSomeTwice(_AcknowledgingAdapter):
    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().acknowledgements(body, stored) * (
            2 if str(body.get("messageID")).endswith("/2") else 1
        )


@breaks("publishing", "PUB-ACK-4")
class TellsBothOutcomes(_AcknowledgingAdapter):
    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().acknowledgements(body, stored) + (
            super().acknowledgements(body, stored=False) if stored else []
        )


@breaks("publishing", "PUB-ACK-5", "PUB-POSITION-1", *UNDELIVERED)
class AcknowledgesBeforeItStores(_AcknowledgingAdapter):
    """A record is stored only at the next operation but one."""

    def call(self, path: str, body: object) -> ToyReply:
        reply = super().call(path, body)
        if path.startswith("/producer/publish/") and reply.status == 200:
            log = self.queue.topics[path.removeprefix("/producer/publish/")][reply.body["partition"]]
            self.held_back = log, log.pop()
        elif (held := getattr(self, "held_back", None)) is not None:
            held[0].append(held[1])
            self.held_back = None
        return reply


@breaks("publishing", "PUB-ACK-6")
class TellsLabelsAsText(_AcknowledgingAdapter):
    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [
            {**acknowledgement, "messageId": f"{acknowledgement['messageId']} "}
            for acknowledgement in super().acknowledgements(body, stored)
        ]


@breaks("publishing", "PUB-ACK-7")
class TellsProducersOfOtherTopics(_AcknowledgingAdapter):
    def destinations(self, topic: str) -> list[str]:
        others = [name for name in self.watches if not name.endswith(f"/{topic}")]
        return super().destinations(topic) + others[-2:]


@breaks("publishing", "PUB-ACK-8")
class SaysNothingOfWhatCameOverHttp(_AcknowledgingAdapter):
    publishes_over_http = True

    def acknowledgements(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [] if stored else super().acknowledgements(body, stored)
