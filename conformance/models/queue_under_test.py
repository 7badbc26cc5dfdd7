"""What a model is run against.

The suite runs it over the wire, the tests of this project on a queue in memory.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from conformance.models.consumer_registry import OperationReply
    from conformance.models.judging import Judge
    from conformance.models.members import Timings


class AckWatch(Protocol):
    """A subscription to the acknowledgements that producers of one topic receive."""

    def take(self, expected: int) -> "Sequence[Any]":
        """The bodies (decoded JSON) that came since the last call: `expected` of them, more if more came.

        Fewer only where they did not come within the patience that the world has.
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
        """How many partitions a topic has unless asked otherwise, if known."""
        ...

    @property
    def extensions(self) -> frozenset[str]:
        """The extensions that the server declares."""
        ...

    @property
    def publishes_over_http(self) -> bool:
        """Whether `call` publishes over HTTP (extension http-publish), not over STOMP."""
        ...

    @property
    def time_is_virtual(self) -> bool:
        """Whether `pass_time` costs nothing. Where it is False the models never let time pass on purpose."""
        ...

    def call(self, path: str, body: object) -> "OperationReply":
        """Perform the operation at `path`; returns its reply."""
        ...

    def fresh(self, stem: str) -> str:
        """A name that nobody used on this server."""
        ...

    def now(self, group: str) -> float:
        """The time of the group, in seconds; one origin per group name."""
        ...

    def pass_time(self, seconds: float, group: str) -> None:
        """Let time pass for the group, and perhaps for others: `now` tells."""
        ...

    def pause(self) -> None:
        """Wait some milliseconds of real time, between two attempts at something that must come about."""
        ...

    def watch(self, destination: str) -> AckWatch | None:
        """Subscribe to a destination of acknowledgements; None where this server has no STOMP."""
        ...
