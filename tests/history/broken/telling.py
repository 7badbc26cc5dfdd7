"""Faults in what producers are told of their records, how often, and on which destinations."""

from collections.abc import Callable
from typing import Any

from tests.history.simulation import Simulation
from tests.models.toy_queue import ToyReply


class Misinforms(Simulation):
    """A queue that does everything right but tell its producers; `outcomes` says what each publish brings."""

    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK" if stored else "FAILED"]

    def heard_by(self, topic: str) -> list[str]:
        return [listener for listener in self.listeners if listener.endswith(f"/{topic}")]

    def tell(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        for listener in self.heard_by(topic):
            for outcome in self.outcomes(reply.status == 200):
                self.schedule(self.delay(), self.hearing(listener, body["messageID"], outcome))

    def hearing(self, listener: str, label: str | int, outcome: str) -> Callable[[], None]:
        return lambda: self.hear(listener, label, outcome)


class TellsTwice(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(stored) * 2


class TellsBoth(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK", "FAILED"]


class TellsTheOpposite(Misinforms):
    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(not stored)


class TellsOthers(Misinforms):
    def heard_by(self, topic: str) -> list[str]:
        return self.listeners


class TellsOneSpelling(Misinforms):
    def heard_by(self, topic: str) -> list[str]:
        return super().heard_by(topic)[:1]
