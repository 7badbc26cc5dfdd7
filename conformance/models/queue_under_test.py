"""Interface to the queue that a model runs against.

The suite implements it over the wire, the project's tests with a queue in memory.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from conformance.models.consumer_registry import OperationReply
    from conformance.models.judging import Judge
    from conformance.models.members import Timings


class AckWatch(Protocol):
    """A subscription to one destination of producers' acknowledgements."""

    def take(self, expected: int) -> "Sequence[Any]":
        """Return the bodies (decoded JSON) that arrived since the last call: at least `expected`.

        Fewer only if they did not arrive within the patience of the system under test.
        """
        ...


class QueueUnderTest(Protocol):
    """A server, seen through the operations table, with a clock for each group."""

    @property
    def judge(self) -> "Judge": ...
    @property
    def timings(self) -> "Timings": ...
    @property
    def partitions(self) -> int | None:
        """Default number of partitions of a topic, None if unknown."""
        ...

    @property
    def extensions(self) -> frozenset[str]:
        """Extensions that the server declares."""
        ...

    @property
    def publishes_over_http(self) -> bool:
        """True if `call` publishes over HTTP (extension http-publish), False if over STOMP."""
        ...

    @property
    def has_both_publish_paths(self) -> bool:
        """True if `call` publishes by either spelling of the path (PUB-ALIAS-1)."""
        ...

    @property
    def time_is_virtual(self) -> bool:
        """True if `pass_time` takes no real time. If False, the models never advance time on purpose."""
        ...

    def call(self, path: str, body: object) -> "OperationReply":
        """Perform the operation at `path` and return its reply."""
        ...

    def start(self, path: str, body: object) -> "Callable[[], OperationReply]":
        """Send the operation at `path` on a connection of its own; the returned function waits for its reply."""
        ...

    def cut(self) -> None:
        """Cut a connection on which earlier calls were answered. Consumers outlive their connections."""
        ...

    def look(self, topic: str, group: str) -> None:
        """Read what can be read about a topic and a group (extension introspection); replies don't matter."""
        ...

    def fresh(self, stem: str) -> str:
        """Return a name, beginning with `stem`, that is new on this server."""
        ...

    def now(self, group: str) -> float:
        """Return the group's time in seconds; the origin is fixed for each group name."""
        ...

    def pass_time(self, seconds: float, group: str) -> None:
        """Advance the time of the group, in seconds; it may advance for other groups, too, and `now` shows it."""
        ...

    def pause(self) -> None:
        """Wait some milliseconds of real time before another attempt."""
        ...

    def watch(self, destination: str) -> AckWatch | None:
        """Subscribe to a destination of acknowledgements; None if the server has no STOMP."""
        ...
