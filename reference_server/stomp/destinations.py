"""Plain destinations: `/queue/…` gives each message to one subscriber, `/topic/…` gives it to all.

A queue keeps messages that no subscriber can take, in order of arrival; unacknowledged ones return to their old
place. A queue exists while it holds a message or has a subscription. A topic keeps nothing.
"""

import sys
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from reference_server.budget import Budget, Charge
from reference_server.stomp.errors import ProtocolError, check_budget
from reference_server.stomp.escapes import escape, header_lines
from reference_server.stomp.limits import StompLimits
from reference_server.units import KIB

QUEUES = "/queue/"
TOPICS = "/topic/"

_SET_BY_SERVER = {"destination", "message-id", "subscription", "ack", "redelivered", "content-length"}
_FOR_SERVER = {"receipt", "transaction"}
_WITHHELD = _SET_BY_SERVER | _FOR_SERVER
"""Headers of SEND that a MESSAGE does not repeat (STOMP-MESSAGE-001 to -005, STOMP-MESSAGE-007)."""


LARGE = 16 * KIB
"""Octets from which the rest of a MESSAGE exists once, however many get it."""
_MESSAGE_OCTETS = 400
"""Octets that a message takes besides its texts and its body."""


class Tail(bytes):
    """The rest of a large MESSAGE, which counts once while anybody needs it."""

    charge: Charge


class Message(msgspec.Struct):
    """One message on its way."""

    number: int
    """Unique on the server and rising in order of arrival (STOMP-MESSAGE-002)."""
    destination: str
    headers: Mapping[str, str]
    body: bytes
    redelivered: bool = False
    charge: Charge | None = None
    _tail: bytes = b""
    _tail_version: str = ""

    @property
    def size(self) -> int:
        """Octets that it takes."""
        if self.charge is not None:
            return self.charge.octets
        return len(self.body) + _MESSAGE_OCTETS + _size_of(self.headers)

    def tail(self, version: str) -> bytes:
        """Everything of its MESSAGE frame that is the same for all subscribers of that version."""
        if self._tail_version != version:
            # STOMP-SEND-007, STOMP-CLEN-003, -005, -006; nothing touches the body (STOMP-SEND-005, STOMP-ENC-010)
            self._tail = b"destination:%b\ncontent-length:%d\n%b%b\n%b\0" % (
                escape(self.destination, version).encode(),
                len(self.body),
                b"redelivered:true\n" if self.redelivered else b"",
                _handed_on(self.headers, version),
                self.body,
            )
            self._tail_version = version
            if self.charge is not None and len(self._tail) >= LARGE:
                self._tail = Tail(self._tail)
                self._tail.charge = Charge(self.charge.budget, len(self._tail))
        return self._tail

    def forget_tail(self) -> None:
        """Keep the body only once."""
        self._tail, self._tail_version = b"", ""


class _Lines:
    """The headers that were handed on last, and the size of those that were measured last.

    Producers send equal heads in a row, for which the frame reader returns one dict: that is looked at once.
    """

    headers: Mapping[str, str] | None = None
    version = ""
    octets = b""
    measured: Mapping[str, str] | None = None
    size = 0


def _handed_on(headers: Mapping[str, str], version: str) -> bytes:
    """The header lines of a MESSAGE that come from its SEND (STOMP-SEND-004, STOMP-CTYPE-001)."""
    last = _Lines
    if last.headers is not headers or last.version != version:
        kept = [header for header in headers.items() if header[0] not in _WITHHELD]
        lines = "".join(f"{line}\n" for line in header_lines(kept, version))
        last.headers, last.version, last.octets = headers, version, lines.encode()
    return last.octets


def _size_of(headers: Mapping[str, str]) -> int:
    """Octets that headers take."""
    last = _Lines
    if last.measured is not headers:
        last.measured = headers
        last.size = sum(map(sys.getsizeof, headers.values())) + sum(map(len, headers))
    return last.size


class Subscriber(Protocol):
    """A subscription, as a destination sees it."""

    parked: bool
    """True while a queue waits for `wake` before it asks again."""

    def can_take(self) -> bool:
        """Return whether a queue may hand over one more message now."""

    def park(self) -> None:
        """Note that a queue wants to be woken when that changes."""

    def deliver(self, message: Message) -> None:
        """Send the message."""


class PlainQueue:
    """First in, first out; each message to one of the subscribers in turn."""

    def __init__(self, name: str, owner: "dict[str, PlainQueue]", limits: StompLimits) -> None:
        self.name = name
        self.messages: deque[Message] = deque()
        self.octets = 0
        self._owner = owner
        self._limits = limits
        self._subscribers: set[Subscriber] = set()
        self._ready: deque[Subscriber] = deque()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber and deliver the messages that wait."""
        self._subscribers.add(subscriber)
        self._ready.append(subscriber)
        self._drain()

    def unsubscribe(self, subscriber: Subscriber, unsettled: list[Message]) -> None:
        """Remove a subscriber; its unsettled messages go to others (STOMP-SUB-009, STOMP-UNSUB-005)."""
        self._subscribers.discard(subscriber)
        if not subscriber.parked:
            self._ready.remove(subscriber)
        self.take_back(unsettled)
        if not self.messages and not self._subscribers:
            self._owner.pop(self.name, None)

    def put(self, message: Message) -> None:
        """Hand a message to a subscriber, or keep it; raises ProtocolError when full (STOMP-SEND-003)."""
        if self.messages or not self._hand_over(message):
            self.check_room(1, message.size)
            self.messages.append(message)
            self.octets += message.size

    def check_room(self, count: int, octets: int) -> None:
        """Raise ProtocolError unless that many messages and octets more can be kept."""
        limits = self._limits
        if len(self.messages) + count > limits.queue_messages or self.octets + octets > limits.queue_bytes:
            bounds = f"{limits.queue_messages} messages and {limits.queue_bytes} octets"
            advice = f"{self.name} keeps at most {bounds}. Send again when consumers have caught up."
            raise ProtocolError("queue full", advice)

    def take_back(self, returned: list[Message]) -> None:
        """Put messages where they were: before all that arrived later (STOMP-ACK-001, STOMP-NACK-001)."""
        if not returned:
            return
        waiting = self.messages
        for message in returned:
            message.redelivered = True
            message.forget_tail()
            self.octets += message.size
        # Redelivered messages may come after later ones: the order of delivery is not that of arrival.
        last = max(message.number for message in returned)
        while waiting and waiting[0].number < last:
            returned.append(waiting.popleft())
        returned.sort(key=attrgetter("number"))
        waiting.extendleft(reversed(returned))
        self._drain()

    def wake(self, subscriber: Subscriber) -> None:
        """Ask a parked subscriber again."""
        if subscriber.parked and subscriber in self._subscribers:
            subscriber.parked = False
            self._ready.append(subscriber)
            self._drain()

    def _drain(self) -> None:
        messages = self.messages
        while messages and self._ready:
            message = messages.popleft()
            if self._hand_over(message):
                self.octets -= message.size
            else:
                messages.appendleft(message)

    def _hand_over(self, message: Message) -> bool:
        ready = self._ready
        while ready:
            subscriber = ready[0]
            if subscriber.can_take():
                ready.rotate(-1)
                subscriber.deliver(message)
                if len(message.body) >= LARGE:
                    message.forget_tail()
                return True
            ready.popleft()
            subscriber.parked = True
            subscriber.park()
        return False


class Broadcast:
    """Delivers to all current subscribers (STOMP-SUB-014).

    It is a plain topic, or a channel of the queue binding; `owner` maps `key` to it while it has subscribers.
    """

    def __init__(self, key: Hashable, owner: "dict[Any, Broadcast]") -> None:
        self._key = key
        self._owner = owner
        self._subscribers: dict[Subscriber, None] = {}

    @classmethod
    def of(cls, key: Hashable, owner: "dict[Any, Broadcast]") -> "Broadcast":
        """Return the one of a key, or a new one."""
        return owner.setdefault(key, cls(key, owner))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber."""
        self._subscribers[subscriber] = None

    def unsubscribe(self, subscriber: Subscriber, unsettled: list[Message]) -> None:
        """Remove a subscriber; its unacknowledged messages are dropped."""
        self._subscribers.pop(subscriber, None)
        if not self._subscribers:
            self._owner.pop(self._key, None)

    def output(self, message: Message) -> int:
        """Octets that a message makes for all together."""
        size = message.size
        return len(self._subscribers) * (_MESSAGE_OCTETS if size >= LARGE else size)

    def put(self, message: Message) -> None:
        """Deliver to all."""
        for subscriber in tuple(self._subscribers):
            subscriber.deliver(message)

    def take_back(self, returned: list[Message]) -> None:
        """Drop messages refused with NACK: every other subscriber had its own copy (STOMP-NACK-001)."""

    def wake(self, subscriber: Subscriber) -> None:
        """Do nothing: no message waits here."""


Source = PlainQueue | Broadcast
"""The source of a subscription."""


class Destinations:
    """All plain destinations of a server."""

    def __init__(self, limits: StompLimits, budget: Budget) -> None:
        self._limits = limits
        self._budget = budget
        self.made = 0
        """Octets of output that were made since the I/O layer took it."""
        self._queues: dict[str, PlainQueue] = {}
        self._topics: dict[str, Broadcast] = {}

    def source(self, destination: str) -> Source | None:
        """Return the source of a SUBSCRIBE to that destination; None if the name is not plain.

        Raises ProtocolError if no further queue can be made.
        """
        if not self.serves(destination):
            return None
        if destination.startswith(TOPICS):
            return Broadcast.of(destination, self._topics)
        return self._queue(destination)

    def serves(self, destination: str) -> bool:
        """Return whether it is `/queue/{name}`, `/topic/{name}` or a bare queue; names are opaque (STOMP-SEND-006)."""
        if destination.startswith((QUEUES, TOPICS)):
            return len(destination) > len(QUEUES)
        return self._limits.bare_queues and bool(destination)

    def check_room(self, messages: Iterable[Message]) -> None:
        """Raise ProtocolError unless all these messages can be kept together (STOMP-TX-003)."""
        wanted: dict[str, tuple[int, int]] = {}
        total = 0
        for message in messages:
            topic = self._topics.get(message.destination)
            total += message.size + (topic.output(message) if topic else 0)
            if not message.destination.startswith(TOPICS):
                count, octets = wanted.get(message.destination, (0, 0))
                wanted[message.destination] = (count + 1, octets + message.size)
        check_budget(self._budget, self.made + total)
        self._check_number(len(self._queues.keys() | wanted.keys()))
        for destination, (count, octets) in wanted.items():
            queue = self._queues.get(destination) or PlainQueue(destination, self._queues, self._limits)
            queue.check_room(count, octets)

    def put(self, message: Message) -> None:
        """Send a message to its plain destination; raises ProtocolError if that, or the server, is full."""
        destination = message.destination
        size = message.size
        if not destination.startswith(TOPICS):
            check_budget(self._budget, self.made + size)
            message.charge = Charge(self._budget, size)
            self._queue(destination).put(message)
        elif (topic := self._topics.get(destination)) is not None:
            output = topic.output(message)
            check_budget(self._budget, self.made + size + output)
            self.made += output
            message.charge = Charge(self._budget, size)
            topic.put(message)

    def _queue(self, destination: str) -> PlainQueue:
        queue = self._queues.get(destination)
        if queue is None:
            self._check_number(len(self._queues) + 1)
            queue = self._queues[destination] = PlainQueue(destination, self._queues, self._limits)
        return queue

    def _check_number(self, queues: int) -> None:
        if queues > self._limits.destinations:
            raise ProtocolError("too many queues", f"At most {self._limits.destinations} can exist at once.")
