"""Numbers of what a server did, for its metrics, and lines about it, for its log.

Any thread may count: between reading and writing a number, none gives way.
"""

import json
import logging
import re
from bisect import bisect_left
from collections import defaultdict

BOUNDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Upper bounds of the buckets of a histogram in seconds; one more bucket has none."""
_CAUSES = 200
"""Causes of refusals that are counted by name; there are fewer, as long as no client can make some up."""
_log = logging.getLogger("reference_server")
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")


class Fields(dict[str, object]):
    """The facts of one line of the log."""

    def __str__(self) -> str:
        """Return NAME=VALUE for each; values that could be taken for more than one are quoted and escaped."""
        texts = {name: str(value) for name, value in self.items()}
        return " ".join(f"{name}={t if _PLAIN.fullmatch(t) else escaped(t)}" for name, t in texts.items())


def escaped(value: object) -> str:
    """Return JSON of printable ASCII: no text of a client can begin a line, or change how one is shown."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def tell(level: int, event: str, **fields: object) -> None:
    """Write a line to the log; costs nothing at a level that is off. Nothing secret may be among the fields."""
    if _log.isEnabledFor(level):
        _log.log(level, "%s %s", event, Fields(fields))


class Histogram:
    """Durations in seconds, counted by the smallest of `BOUNDS` that is not below."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Events:
    """Numbers of one server since its start."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        """Numbers of connections, evictions and rebalances."""
        self.refusals: dict[str, int] = defaultdict(int)
        """Numbers of refused requests, frames and connections, by cause."""
        self.frames_received = 0
        self.frames_sent = 0
        self.lock_wait = Histogram()
        self.request_time = {"http": Histogram(), "stomp": Histogram()}

    def note(self, event: str, **fields: object) -> None:
        """Count an event; the log has a line about it."""
        self.counts[event] += 1
        tell(logging.INFO, event, **fields)

    def refused(self, cause: str, **fields: object) -> None:
        """Count a refusal; `cause` is one of a problem document, or the summary of an ERROR."""
        cause = cause.lower().replace(" ", "-")
        if cause not in self.refusals and len(self.refusals) >= _CAUSES:
            cause = "other"
        self.refusals[cause] += 1
        tell(logging.INFO, "refusal", cause=cause, **fields)
