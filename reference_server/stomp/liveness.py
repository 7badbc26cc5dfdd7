"""Timers of one session: heart-beats to send, and limits on the silence of its client."""

import math

from reference_server.stomp.limits import StompLimits
from reference_server.stomp.negotiation import Intervals

_EARLY = 0.75
"""By default a beat is sent when this part of the interval has passed, so that a late timer does no harm."""
_TOLERANCE = 1.5
_MARGIN = 0.5
"""A client may be silent for `_TOLERANCE` intervals and `_MARGIN` seconds (STOMP-HEARTBEAT-009)."""


class Liveness:
    """The timers of one session; all times are seconds of wall time."""

    __slots__ = (
        "_limits",
        "begun",
        "early",
        "heard_at",
        "incomplete_since",
        "intervals",
        "opened_at",
        "said_at",
    )

    def __init__(self, limits: StompLimits, now: float) -> None:
        self._limits = limits
        self.opened_at = self.heard_at = self.said_at = now
        self.early = _EARLY
        """Part of the interval after which a beat is sent."""
        self.begun = False
        """True once the first frame has come."""
        self.incomplete_since: float | None = None
        """Arrival of the first octets of an incomplete frame."""
        self.intervals = Intervals()

    @property
    def beat_at(self) -> float:
        """Time of the next heart-beat (STOMP-HEARTBEAT-005); infinite if there is none (STOMP-HEARTBEAT-004)."""
        interval = self.intervals.server
        return self.said_at + interval * self.early if interval else math.inf

    @property
    def expires_at(self) -> float:
        """Time at which the client exceeds a limit; infinite if never (STOMP-HEARTBEAT-003)."""
        return min(self._first_frame_by, self._frame_whole_by, self._heard_by)

    def complaint(self, now: float) -> tuple[str, str] | None:
        """Return summary and advice for the ERROR that is due, if one is."""
        if now >= self._first_frame_by:  # STOMP-WS-019
            return "no frame came", f"Send CONNECT within {self._limits.first_frame_timeout:g} s."
        if now >= self._frame_whole_by:
            limit = self._limits.incomplete_frame_timeout
            return "frame never ended", f"A frame must be whole within {limit:g} s."
        if now >= self._heard_by:  # STOMP-HEARTBEAT-008
            return "silent for too long", f"A heart-beat every {self.intervals.client:g} s was agreed on."
        return None

    @property
    def _first_frame_by(self) -> float:
        return math.inf if self.begun else self.opened_at + self._limits.first_frame_timeout

    @property
    def _frame_whole_by(self) -> float:
        since = self.incomplete_since
        return math.inf if since is None else since + self._limits.incomplete_frame_timeout

    @property
    def _heard_by(self) -> float:
        interval = self.intervals.client
        return self.heard_at + interval * _TOLERANCE + _MARGIN if interval else math.inf
