"""The capabilities document at GET /capabilities (CAP-1, CAP-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from reference_server.server.websocket import ENDPOINTS
from reference_server.stomp.negotiation import VERSIONS

if TYPE_CHECKING:
    from reference_server.config import Settings

CLASSES = ("stomp-1.0", "stomp-1.1", "stomp-1.2", "websocket", "queue-http", "queue-stomp")
EXTENSIONS = (
    "topic-partitions",
    "topic-limits",
    "record-position",
    "http-publish",
    "negative-acknowledgement",
    "unregister",
    "batch-poll",
    "long-poll",
    "introspection",
)
CLOCK_EXTENSIONS = ("virtual-clock", "virtual-clock-per-group")


def describe(settings: Settings, *, name: str, version: str) -> bytes:
    """Write the document; sizes in bytes, times in seconds."""
    return msgspec.json.encode(
        {
            "name": name,
            "version": version,
            "classes": CLASSES,
            "extensions": EXTENSIONS + (CLOCK_EXTENSIONS if settings.virtual_clock else ()),
            "stomp_versions": VERSIONS,
            "endpoints": {path[1:]: path for path in ENDPOINTS},
            "defaults": {"brokers": settings.brokers, "partitions": settings.partitions},
            "limits": {
                "frame_bytes": settings.frame_bytes,
                "body_bytes": settings.body_bytes,
                "header_bytes": settings.header_bytes,
                "headers": settings.headers,
                "connections": settings.connections,
                "subscriptions": settings.subscriptions,
                "partition_bytes": settings.partition_bytes,
                "total_bytes": settings.total_bytes,
                "name_length": settings.name_length,
                "wait_seconds": settings.wait_seconds,
                "poll_messages": settings.poll_messages,
                "partitions": settings.topic_partitions,
            },
            "timings": {
                "heartbeat_timeout": settings.heartbeat_timeout,
                "eviction_grace": settings.eviction_grace,
                "rebalance_timeout": settings.rebalance_timeout,
                "first_frame_timeout": settings.first_frame_timeout,
            },
        }
    )
