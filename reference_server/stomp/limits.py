"""Bounds of the STOMP side, on top of the settings of the queue."""

from typing import Annotated

from reference_server.queue.settings import QueueSettings
from reference_server.units import KIB, MIB, Count, Octets, Seconds


class StompLimits(QueueSettings, frozen=True, kw_only=True):
    """Bounds of one connection, and of the plain destinations together; times are seconds of wall time."""

    headers: Annotated[Count, "header lines of one frame or HTTP request"] = 256  # STOMP-LIMIT-001
    header_line_bytes: Annotated[Octets, "one header line of a frame"] = 32 * KIB  # STOMP-LIMIT-002
    header_bytes: Annotated[Octets, "headers of one frame or HTTP request together"] = 64 * KIB
    body_bytes: Annotated[Octets, "body of one frame or HTTP request"] = MIB  # STOMP-LIMIT-003

    subscriptions: Annotated[Count, "subscriptions of one connection"] = 1000
    unacknowledged: Annotated[Count, "unsettled messages of one connection; then queues wait"] = 10_000
    transactions: Annotated[Count, "open transactions of one connection"] = 100
    transaction_frames: Annotated[Count, "frames in the open transactions of one connection"] = 10_000
    transaction_bytes: Annotated[Octets, "content of the open transactions of one connection"] = 16 * MIB
    long_polls: Annotated[Count, "unanswered long polls of one connection"] = 100
    output_window: Annotated[Octets, "output of one connection in transit; then queues wait"] = MIB

    bare_queues: Annotated[
        bool, "serve destinations such as DLQ, which begin with neither /queue/ nor /topic/, as queues"
    ] = False
    destinations: Annotated[Count, "plain queues at once"] = 10_000
    queue_messages: Annotated[Count, "messages that wait in one plain queue"] = 1_000_000
    queue_bytes: Annotated[Octets, "content that waits in one plain queue"] = 256 * MIB

    first_frame_timeout: Annotated[Seconds, "time until the first frame must have come"] = 30.0
    incomplete_frame_timeout: Annotated[Seconds, "time that one frame may take to arrive"] = 60.0
    heartbeat_interval: Annotated[Seconds, "shortest interval of STOMP heart-beats that is agreed on"] = 0.1

    @property
    def frame_bytes(self) -> int:
        """Largest frame that can be accepted: head, body and the terminator."""
        return self.header_bytes + self.body_bytes + 1
