"""The bounds of the STOMP side: sizes in octets, times in seconds of wall time."""

import msgspec


class StompLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection, and the plain destinations together, may take (STOMP-LIMIT-001 to 004)."""

    headers: int = 256
    """Header lines of one frame (STOMP-LIMIT-001)."""
    header_line_bytes: int = 32 * 1024
    """Longest header line, and longest command line (STOMP-LIMIT-002)."""
    header_bytes: int = 64 * 1024
    """Command and headers of one frame together (STOMP-LIMIT-002)."""
    body_bytes: int = 1024 * 1024
    """Body of one frame (STOMP-LIMIT-003)."""

    subscriptions: int = 1000
    """Subscriptions of one connection."""
    unacknowledged: int = 10_000
    """Messages of one connection that were delivered and are not settled; a queue waits at this bound."""
    transactions: int = 100
    """Open transactions of one connection."""
    transaction_frames: int = 10_000
    """Frames buffered by all open transactions of one connection."""
    transaction_bytes: int = 16 * 1024 * 1024
    """Bodies and headers buffered by all open transactions of one connection."""
    long_polls: int = 100
    """Unanswered long polls of one connection."""
    output_window: int = 1024 * 1024
    """Octets that queues hand to one connection before the I/O layer reports that it wrote them."""

    destinations: int = 10_000
    """Plain queues that exist at once; one exists while it holds messages or has a subscription."""
    queue_messages: int = 1_000_000
    """Messages that wait in one plain queue; past it a SEND is refused (STOMP-SEND-003)."""
    queue_bytes: int = 256 * 1024 * 1024
    """Octets of the messages that wait in one plain queue; past it a SEND is refused."""

    first_frame_timeout: float = 30.0
    """Time until the first frame of a connection must be there (STOMP-WS-019)."""
    incomplete_frame_timeout: float = 60.0
    """Time that one frame may take from its first to its last octet."""
    heartbeat_interval: float = 0.1
    """Smallest interval of heart-beats that the server offers and asks for (STOMP-HEARTBEAT-011)."""

    @property
    def frame_bytes(self) -> int:
        """Largest frame that can be accepted: head, body and the terminator."""
        return self.header_bytes + self.body_bytes + 1
