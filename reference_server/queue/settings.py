"""What can be set of the queue: numbers, times in seconds, bounds in octets."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one queue; every bound is a limit that the capabilities declare."""

    brokers: int = 3
    partitions: int = 4
    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    partition_bytes: int = 256 * MIB
    """Octets of the keys and messages of one partition, in UTF-8."""
    total_bytes: int = 512 * MIB
    """Octets of all that producers gave in all stored records."""
    name_length: int = 128
    poll_messages: int = 100
    wait_seconds: float = 30.0
    topics: int = 1_000_000
    groups: int = 1_000_000
    consumers: int = 1_000_000
    topic_partitions: int = 1024
    """Partitions that one topic may ask for."""
    all_partitions: int = 1_000_000
    """Partitions of all topics together."""
    cursors: int = 1_000_000
    """Partitions that groups follow: one counts once for every group that has subscribed to its topic."""
    records: int = 5_000_000
    """Records of all topics together: what bounds the memory that short ones take."""
