"""The capabilities document at GET /capabilities (CAP-1, CAP-2)."""

from collections.abc import Iterable

import msgspec

from reference_server.config import Settings
from reference_server.server.websocket import ENDPOINTS
from reference_server.stomp.destinations import QUEUES, TOPICS
from reference_server.stomp.negotiation import VERSIONS

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
    "topic-removal",
    "durable",
    "security",
)
ON_A_LOG = frozenset({"queue-http", "queue-stomp"})
"""Those of the classes that a server has without plain destinations."""
NOT_ON_A_LOG = frozenset({"topic-limits"})
ON_A_LOG_ONLY = frozenset({"durable"})
CLOCK_EXTENSIONS = ("virtual-clock", "virtual-clock-per-group")
QUEUE_LIMITS = ("partition_bytes", "total_bytes", "name_length", "wait_seconds", "poll_messages")
STOMP_LIMITS = ("frame_bytes", "body_bytes", "header_bytes", "headers", "connections", "subscriptions")
TIMINGS = ("heartbeat_timeout", "eviction_grace", "rebalance_timeout", "first_frame_timeout")


def describe(settings: Settings, *, name: str, version: str, endpoints: Iterable[str] = ENDPOINTS) -> bytes:
    """Write the document; sizes in bytes, times in seconds."""
    return msgspec.json.encode(
        {
            "name": name,
            "version": version,
            "classes": tuple(name for name in CLASSES if not settings.log or name in ON_A_LOG)
            + (() if settings.stomp_port is None else ("tcp",)),
            "extensions": tuple(
                name
                for name in EXTENSIONS
                if (name != "introspection" or settings.introspection)
                and name not in (NOT_ON_A_LOG if settings.log else ON_A_LOG_ONLY)
            )
            + (() if settings.retention == "keep" else ("retention",))
            + (CLOCK_EXTENSIONS if settings.virtual_clock else ()),
            "stomp_versions": VERSIONS,
            "endpoints": {path[1:]: path for path in endpoints},
            "destinations": {
                "queue": QUEUES + "{name}",
                "topic": TOPICS + "{name}",
                "redelivers": True,  # STOMP-SUB-009
                "refused": "/nowhere",
            },
            "defaults": {"brokers": settings.brokers, "partitions": settings.partitions},
            "limits": {name: getattr(settings, name) for name in QUEUE_LIMITS + STOMP_LIMITS}
            | {"partitions": settings.topic_partitions},
            "timings": {name: getattr(settings, name) for name in TIMINGS},
        }
    )
