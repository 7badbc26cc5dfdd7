"""What all sessions of a server share (interface; the behaviour follows)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from reference_server.queue.operations import Operations, Outcome, ProducerAcknowledgement
    from reference_server.stomp.limits import StompLimits
    from reference_server.stomp.session import Session


class Hub:
    """Plain destinations, acknowledgement subscribers, the queue's operations and the timers of all sessions.

    Every method is called under the application lock. Times are seconds of wall time (any monotonic clock).
    """

    def __init__(
        self,
        operations: Operations,
        limits: StompLimits,
        *,
        users: Mapping[str, str] | None = None,
        server_name: str = "stompliance/0.1",
    ) -> None:
        """`users` maps login to passcode; None or empty: anybody may connect."""
        raise NotImplementedError

    def touched(self) -> list[Session]:
        """Sessions with new output, or that are newly `closing`, since the last call; may name one twice."""
        raise NotImplementedError

    def operations_answered(self, now: float) -> list[tuple[Hashable, Outcome]]:
        """Answer the long polls of STOMP sessions that are ready; those of other bindings are returned.

        Call it after anything that may make a record available: `handle`, an operation over HTTP, a tick of
        the queue, a move of the clock.
        """
        raise NotImplementedError

    def acknowledge_producer(self, acknowledgement: ProducerAcknowledgement) -> None:
        """Send ACK or FAILED to the subscribers of both spellings (PUB-ACK-1 to 8); HTTP calls it too."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Do what is due: heart-beats, silence, first-frame and incomplete-frame timeouts, ends of long polls."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """Wall time at which `tick` has work; may come too early, never too late. Cheap."""
        raise NotImplementedError
