"""Faults in the acknowledgements to producers."""

from typing import Any

from tests.models.broken.registry import UNDELIVERED, breaks
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import ToyReply


class _Telling(ToyQueueAdapter):
    """An adapter in which `told` returns the acknowledgements of a publish, and `heard` their destinations."""

    SPELLINGS = ("acknowledgment", "acknowledgement")

    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        told: dict[str, Any] = {"messageId": body.get("messageID"), "acknowledgementMessage": "ACK"}
        return [told if stored else told | {"acknowledgementMessage": "FAILED", "reason": "refused"}]

    def heard(self, topic: str) -> list[str]:
        return [f"/topic/{spelling}/{topic}" for spelling in self.SPELLINGS]

    def acknowledge_producer(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        for destination in self.heard(topic):
            for watch in self.watches.get(destination, []):
                watch.bodies.extend(self.told(body, reply.status == 200))


@breaks("publishing", "PUB-ACK-1", "PUB-ACK-3")
class KnowsOneSpelling(_Telling):
    SPELLINGS = ("acknowledgement",)


@breaks("publishing", "PUB-ACK-2", "PUB-ACK-3")
class KnowsTheOtherSpelling(_Telling):
    SPELLINGS = ("acknowledgment",)


@breaks("publishing", "PUB-ACK-3")
class SaysNothingOfRefusals(_Telling):
    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().told(body, stored) if stored else []


@breaks("publishing", "PUB-ACK-3")
class GivesNoReason(_Telling):
    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [{**told, "reason": ""} if not stored else told for told in super().told(body, stored)]


@breaks("publishing", "PUB-ACK-4")
class TellsSomeTwice(_Telling):
    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().told(body, stored) * (2 if str(body.get("messageID")).endswith("/2") else 1)


@breaks("publishing", "PUB-ACK-4")
class TellsBothOutcomes(_Telling):
    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return super().told(body, stored) + (super().told(body, stored=False) if stored else [])


@breaks("publishing", "PUB-ACK-5", "PUB-POSITION-1", *UNDELIVERED)
class AcknowledgesBeforeItStores(_Telling):
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
class TellsLabelsAsText(_Telling):
    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [{**told, "messageId": f"{told['messageId']} "} for told in super().told(body, stored)]


@breaks("publishing", "PUB-ACK-7")
class TellsProducersOfOtherTopics(_Telling):
    def heard(self, topic: str) -> list[str]:
        others = [name for name in self.watches if not name.endswith(f"/{topic}")]
        return super().heard(topic) + others[-2:]


@breaks("publishing", "PUB-ACK-8")
class SaysNothingOfWhatCameOverHttp(_Telling):
    publishes_over_http = True

    def told(self, body: dict[str, Any], stored: bool) -> list[dict[str, Any]]:
        return [] if stored else super().told(body, stored)
