"""Faults in producer acknowledgements: their outcomes, their number, and their destinations."""

from collections.abc import Callable
from typing import Any

from tests.history.simulation import Simulation
from tests.models.toy_queue import ToyReply


class Misinforms(Simulation):
    """A conforming queue with faulty producer acknowledgements; `outcomes` are those of one publish."""

    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK" if stored else "FAILED"]

    def receivers(self, topic: str) -> list[str]:
        return [listener for listener in self.listeners if listener.endswith(f"/{topic}")]

    def send_acks(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        for listener in self.receivers(topic):
            for outcome in self.outcomes(reply.status == 200):
                self.schedule(self.delay(), self.receiving(listener, body["messageID"], outcome))

    def receiving(self, listener: str, label: str | int, outcome: str) -> Callable[[], None]:
        return lambda: self.receive_ack(listener, label, outcome)


class TellsTwice(Misinforms):
    """Every acknowledgement is sent twice."""

    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(stored) * 2


class TellsBoth(Misinforms):
    """Every publish is acknowledged as stored and as refused."""

    def outcomes(self, stored: bool) -> list[str]:
        return ["ACK", "FAILED"]


class TellsTheOpposite(Misinforms):
    """Stored records are acknowledged as refused, and refused ones as stored."""

    def outcomes(self, stored: bool) -> list[str]:
        return super().outcomes(not stored)


class TellsOthers(Misinforms):
    """Acknowledgements go to the subscriptions of all topics."""

    def receivers(self, topic: str) -> list[str]:
        return self.listeners


class TellsOneSpelling(Misinforms):
    """Acknowledgements go to one spelling of the destination only."""

    def receivers(self, topic: str) -> list[str]:
        return super().receivers(topic)[:1]
