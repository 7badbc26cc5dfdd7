"""Subscriptions of one session: delivery in the three acknowledgement modes, and unsettled deliveries."""

import enum
from collections.abc import Iterator, Mapping
from itertools import takewhile

import msgspec

from reference_server.budget import Budget, Charge
from reference_server.stomp.destinations import Message, Source, Tail
from reference_server.stomp.errors import ProtocolError, check_budget
from reference_server.stomp.escapes import escape
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.outlet import Large, Outlet

_SUBSCRIPTION_OCTETS = 1000
_DELIVERY_OCTETS = 400


class AckMode(enum.Enum):
    """The values of the `ack` header of SUBSCRIBE (STOMP-SUB-007)."""

    AUTO = "auto"
    CUMULATIVE = "client"
    INDIVIDUAL = "client-individual"


class Delivery(msgspec.Struct):
    """A message that was handed to a subscription in one of the client modes and is not settled."""

    number: int
    """Unique on the server and rising; as text it is the `ack` header (STOMP-MESSAGE-004)."""
    message: Message
    subscription: "Subscription"


class Subscription:
    """One SUBSCRIBE of one connection (STOMP-SUB-006: its id means nothing on others)."""

    def __init__(
        self,
        book: "Subscriptions",
        identifier: str,
        mode: AckMode,
        source: Source,
        headers: Mapping[str, str],
    ) -> None:
        self.id = identifier
        self.destination = headers["destination"]
        self.mode = mode
        octets = _SUBSCRIPTION_OCTETS + 3 * sum(map(len, headers.values()))
        check_budget(book.budget, octets)
        self._charge = Charge(book.budget, octets)
        self.source = source
        self.parked = False
        self.pending: dict[str, Delivery] = {}
        """Unsettled deliveries by message-id, in order."""
        self._book = book
        self._outlet = book.outlet
        # STOMP-MESSAGE-003, STOMP-MESSAGE-008; a 1.0 client that gave no id gets none
        line = f"subscription:{escape(identifier, book.outlet.version)}\n" if "id" in headers else ""
        self._prefix = f"MESSAGE\n{line}message-id:".encode()

    def can_take(self) -> bool:
        """Return whether a queue may hand over one more message now."""
        return len(self._book.unsettled) < self._book.bound and self._outlet.window_open()

    def park(self) -> None:
        """Note that a queue waits for room in this session."""
        self._book.parked.append(self)

    def deliver(self, message: Message) -> None:
        """Send a MESSAGE; but in auto mode, ACK or NACK must settle it (STOMP-SUB-008, STOMP-ACK-001)."""
        outlet = self._outlet
        version = outlet.version
        if self.mode is AckMode.AUTO:
            outlet.emit(_frame(self._prefix, message.number, b"", message.tail(version)))
            return
        book = self._book
        if len(book.unsettled) >= book.bound:
            advice = f"Settle messages before there are {book.bound} of them."
            outlet.refuse(ProtocolError("too many unacknowledged messages", advice))
            return
        delivery = Delivery(next(book.numbers), message, self)
        book.unsettled[str(delivery.number)] = delivery
        self.pending[str(message.number)] = delivery
        ack = b"ack:%d\n" % delivery.number if version == "1.2" else b""
        outlet.emit(_frame(self._prefix, message.number, ack, message.tail(version)))
        if not len(book.unsettled) % 64:
            book.count()


class Subscriptions:
    """All subscriptions of one session, and its unsettled deliveries."""

    def __init__(self, outlet: Outlet, limits: StompLimits, numbers: Iterator[int], budget: Budget) -> None:
        self.outlet = outlet
        self.numbers = numbers
        self.bound = limits.unacknowledged
        self.unsettled: dict[str, Delivery] = {}
        """By the value of the `ack` header."""
        self.parked: list[Subscription] = []
        """Subscriptions for which a queue waits."""
        self._limits = limits
        self._by_id: dict[str, Subscription] = {}
        self.budget = budget
        self._charge = Charge(budget)

    def check(self, headers: Mapping[str, str]) -> tuple[str, AckMode]:
        """Return the id and the mode that a SUBSCRIBE asks for; raises ProtocolError (STOMP-SUB-002)."""
        version = self.outlet.version
        identifier = headers.get("id")
        if identifier is None and version == "1.0":
            identifier = headers["destination"]
        if identifier is None:  # STOMP-SUB-003
            raise ProtocolError("SUBSCRIBE without id", "Give each subscription its own id.")
        if identifier in self._by_id:  # STOMP-SUB-005
            raise ProtocolError("subscription id in use", "UNSUBSCRIBE it first, or choose another id.")
        if len(self._by_id) >= self._limits.subscriptions:  # STOMP-LIMIT-005
            raise ProtocolError("too many subscriptions", f"{self._limits.subscriptions} are possible.")
        return identifier, _read_mode(headers.get("ack", "auto"), version)

    def add(self, identifier: str, mode: AckMode, source: Source, headers: Mapping[str, str]) -> None:
        """Begin a subscription that `check` allowed (STOMP-SUB-001)."""
        subscription = Subscription(self, identifier, mode, source, headers)
        self._by_id[identifier] = subscription
        source.subscribe(subscription)

    def remove(self, headers: Mapping[str, str]) -> None:
        """Process UNSUBSCRIBE (STOMP-UNSUB-001, -004, -005); raises ProtocolError."""
        identifier = headers.get("id")
        if identifier is None and self.outlet.version == "1.0":
            identifier = self._by_destination(headers.get("destination"))
        if identifier is None:  # STOMP-UNSUB-002
            raise ProtocolError("UNSUBSCRIBE without id", "Name the subscription by the id of its SUBSCRIBE.")
        subscription = self._by_id.pop(identifier, None)
        if subscription is None:  # STOMP-UNSUB-003
            raise ProtocolError("no such subscription", "UNSUBSCRIBE needs the id of a current one.")
        self._end(subscription)
        self.wake()

    def destinations(self) -> dict[str, str]:
        """Return the destinations of the current subscriptions, by id."""
        return {identifier: each.destination for identifier, each in self._by_id.items()}

    def clear(self) -> None:
        """End all: the session is over."""
        self.parked.clear()
        while self._by_id:
            _, subscription = self._by_id.popitem()
            self._end(subscription)

    def count(self) -> None:
        """Count the notes of unsettled deliveries; called now and then."""
        self._charge.set(_DELIVERY_OCTETS * len(self.unsettled))

    def find(self, headers: Mapping[str, str], command: str) -> Delivery:
        """Return the unsettled delivery that an ACK or NACK names (STOMP-ACK-002); raises ProtocolError.

        Ids that were never issued, are settled, or belong to auto mode are all unknown (STOMP-ACK-004, -005, -007).
        """
        version = self.outlet.version
        if version == "1.2":  # STOMP-ACK-008
            name, delivery = "id", self.unsettled.get(headers.get("id", ""))
        else:
            name, delivery = "message-id", self._by_message(headers, command)
        if delivery is not None:
            return delivery
        if name not in headers:  # STOMP-ACK-003
            whose = "ack" if version == "1.2" else name
            advice = f"STOMP {version} names the message by {name}: the value of the {whose} header of its MESSAGE."
            raise ProtocolError(f"{command} without {name}", advice)
        shown = repr(headers[name][:100])
        if self._delivered(headers[name]) is None:
            advice = f"The {name} {shown} names no message of this connection that is unsettled"
            is_auto = any(each.mode is AckMode.AUTO for each in self._by_id.values())
            advice += (
                "; those of a subscription with ack:auto are settled as they are sent." if is_auto else "."
            )
        elif version == "1.2":
            advice = f"{shown} is a message-id. STOMP 1.2 names a message by the value of its ack header."
        else:
            advice = f"The message {shown} came to another subscription than the one that is named."
        raise ProtocolError(f"{command} of an unknown message", advice)  # STOMP-ACK-010

    def settle(self, delivery: Delivery, *, consumed: bool) -> None:
        """Carry out an ACK (`consumed`) or NACK; does nothing if it was settled meanwhile.

        In client mode all earlier deliveries of that subscription are meant, and of no other (STOMP-SUB-010,
        STOMP-SUB-011, STOMP-NACK-003); in client-individual only this one (STOMP-SUB-012, STOMP-NACK-002).
        """
        subscription = delivery.subscription
        pending = subscription.pending
        if subscription.mode is AckMode.CUMULATIVE:
            covered = [*takewhile(lambda earlier: earlier.number <= delivery.number, pending.values())]
        else:
            covered = [delivery] if str(delivery.number) in self.unsettled else []
        for each in covered:
            del pending[str(each.message.number)], self.unsettled[str(each.number)]
        if not consumed:
            subscription.source.take_back([each.message for each in covered])
        if not len(self.unsettled) % 64:
            self.count()
        if self.parked:
            self.wake()

    def wake(self) -> None:
        """Wake the queues that wait for this session."""
        if self.parked:
            parked, self.parked = self.parked, []
            for subscription in parked:
                subscription.source.wake(subscription)

    def _end(self, subscription: Subscription) -> None:
        unsettled = [delivery.message for delivery in subscription.pending.values()]
        for delivery in subscription.pending.values():
            del self.unsettled[str(delivery.number)]
        subscription.pending.clear()
        self.count()
        subscription.source.unsubscribe(subscription, unsettled)

    def _by_destination(self, destination: str | None) -> str | None:
        return next((each.id for each in self._by_id.values() if each.destination == destination), None)

    def _by_message(self, headers: Mapping[str, str], command: str) -> Delivery | None:
        """Find a delivery by message-id and, which 1.1 asks for, subscription (STOMP-ACK-009)."""
        message = headers.get("message-id", "")
        named = headers.get("subscription")
        if named is not None:
            subscription = self._by_id.get(named)
            return subscription.pending.get(message) if subscription else None
        if self.outlet.version != "1.0":
            advice = "STOMP 1.1 names the message by message-id and subscription."
            raise ProtocolError(f"{command} without subscription", advice)
        return self._delivered(message)

    def _delivered(self, message: str) -> Delivery | None:
        """Find an unsettled delivery of any subscription by message-id."""
        of_each = (each.pending.get(message) for each in self._by_id.values())
        return next(filter(None, of_each), None)


def _frame(prefix: bytes, number: int, ack: bytes, tail: bytes) -> bytes:
    """A MESSAGE; a large tail is not copied."""
    if type(tail) is not Tail:
        return b"%b%d\n%b%b" % (prefix, number, ack, tail)
    frame = Large(b"%b%d\n%b" % (prefix, number, ack))
    frame.tail = tail
    return frame


def _read_mode(value: str, version: str) -> AckMode:
    """Return one of the modes of a version; raises ProtocolError for anything else (STOMP-SUB-015)."""
    allowed = ("auto", "client") if version == "1.0" else ("auto", "client", "client-individual")
    if value not in allowed:
        advice = f"Expected one of {', '.join(allowed)}; found {value[:100]!r}."
        raise ProtocolError("unknown ack mode", advice)
    return AckMode(value)
