"""Timers of one session: heart-beats to send, and limits on the silence of its client."""

import math
from collections.abc import Iterator

from reference_server.stomp.limits import StompLimits
from reference_server.stomp.negotiation import Intervals

_EARLY = 0.75
"""By default a beat is sent when this part of the interval has passed, so that a late timer does no harm."""
_TOLERANCE = 1.5
_MARGIN = 0.5
"""A client may be silent for `_TOLERANCE` intervals and `_MARGIN` seconds (STOMP-HEARTBEAT-009)."""


class Liveness:
    """The timers of one session; all times are seconds of wall time."""

    def __init__(self, limits: StompLimits, now: float) -> None:
        self._limits = limits
        self.opened_at = self.heard_at = self.said_at = now
        self.early = _EARLY
        """Part of the interval after which a beat is sent."""
        self.begun = False
        """True once the first frame has come."""
        self.incomplete_since: float | None = None
        """Arrival of the first octets of an incomplete frame, or WebSocket message (STOMP-LIMIT-008)."""
        self.intervals = Intervals()

    @property
    def beat_at(self) -> float:
        """Time of the next heart-beat (STOMP-HEARTBEAT-005); infinite if there is none (STOMP-HEARTBEAT-004)."""
        interval = self.intervals.server
        return self.said_at + interval * self.early if interval else math.inf

    @property
    def expires_at(self) -> float:
        """Time at which the client exceeds a limit; infinite if never (STOMP-HEARTBEAT-003)."""
        return min((due for due, _summary, _advice in self._bounds()), default=math.inf)

    def complaint(self, now: float) -> tuple[str, str] | None:
        """Return summary and advice for the ERROR that is due, if one is."""
        return next(((summary, advice) for due, summary, advice in self._bounds() if now >= due), None)

    def _bounds(self) -> Iterator[tuple[float, str, str]]:
        """Time, summary and advice of each limit that holds now."""
        limits, since, interval = self._limits, self.incomplete_since, self.intervals.client
        if not self.begun:  # STOMP-WS-019
            first = limits.first_frame_timeout
            yield self.opened_at + first, "no frame came", f"Send CONNECT within {first:g} s."
        if since is not None:
            whole = limits.incomplete_frame_timeout
            yield since + whole, "frame never ended", f"A frame must be whole within {whole:g} s."
        if interval:  # STOMP-HEARTBEAT-008
            heard_by = self.heard_at + interval * _TOLERANCE + _MARGIN
            yield heard_by, "silent for too long", f"A heart-beat every {interval:g} s was agreed on."
