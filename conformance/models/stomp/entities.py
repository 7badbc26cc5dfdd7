"""Entities of the model: destinations, subscriptions, messages and their copies, deliveries, transactions, sessions.

A message of a queue-like destination has one copy, which any subscription may receive. A message of a topic-like
destination has one copy for each subscription. The state of a copy says whether its arrival is forbidden, allowed or
due; the other modules move it from state to state.
"""

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.wire.frames import Frame

AUTO, CLIENT, INDIVIDUAL = "auto", "client", "client-individual"


class CopyState(enum.Enum):
    """Known state of a copy of a message."""

    FORBIDDEN = "must not come"
    ALLOWED = "may come"
    DUE = "must come"
    UNSETTLED = "was delivered and is not settled"


@dataclass(eq=False, slots=True)
class Destination:
    """A destination of the example.

    `keeps`: True if it must keep messages for later subscriptions. `may_swallow`: True if an ended subscription may
    still consume messages.
    """

    name: str
    is_queue: bool
    keeps: bool = False
    subscriptions: "list[Subscription]" = field(default_factory=list)
    messages: "list[Message]" = field(default_factory=list)
    may_swallow: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def active(self) -> "list[Subscription]":
        """The subscriptions that must be in effect."""
        return [subscription for subscription in self.subscriptions if subscription.is_active]


@dataclass(eq=False, slots=True)
class Subscription:
    """A SUBSCRIBE of the example.

    `is_active`: True from its RECEIPT to the UNSUBSCRIBE. `is_gone`: True from the RECEIPT of the UNSUBSCRIBE.
    `unsettled`: its deliveries, in the order of arrival.
    """

    id: str
    destination: Destination
    mode: str
    session: "Session"
    is_active: bool = False
    is_gone: bool = False
    unsettled: "list[MessageDelivery]" = field(default_factory=list)

    @property
    def kind(self) -> tuple[str, bool]:
        """Its mode, and whether its destination is a queue."""
        return self.mode, self.destination.is_queue

    def __str__(self) -> str:
        return f"subscription {self.id!r} of {self.session}"


@dataclass(eq=False, slots=True)
class MessageCopy:
    """A copy of a message. `clause` is broken if it comes though FORBIDDEN, or does not come though DUE.

    `suspects`: clauses of other frames that may have settled an UNSETTLED copy, in case it proves to be settled.
    """

    message: "Message"
    state: CopyState
    clause: str | None
    subscription: Subscription | None = None
    delivery: "MessageDelivery | None" = None
    arrivals: int = 0
    suspects: set[str] = field(default_factory=set)

    @property
    def suspect(self) -> str:
        """The only suspect; "" if there is none or several."""
        return next(iter(self.suspects)) if len(self.suspects) == 1 else ""

    def set_state(self, state: CopyState, clause: str | None = None) -> None:
        """Set state and clause."""
        self.state, self.clause = state, clause


@dataclass(eq=False, slots=True)
class MessageDelivery:
    """A MESSAGE in one of the client modes. `key`: the headers by which ACK and NACK name it.

    `doubt`: "" if it must be settled. Otherwise the server may no longer expect its settlement, and `doubt` is the
    clause broken if the message is lost when the session ends (`NO_CLAUSE`: none).
    """

    copy: MessageCopy
    subscription: Subscription
    key: tuple[tuple[str, str], ...]
    is_settled: bool = False
    doubt: str = ""


#: The `doubt` of a delivery whose message may be lost without breaking a clause.
NO_CLAUSE = "nothing"


@dataclass(eq=False, slots=True)
class Message:
    """A message; `state` and `clause` are those of copies that have not arrived.

    `audience`: the subscriptions in effect when it was sent and, in a transaction, still when it was committed.
    `committed_together`: the messages of a COMMIT whose outcome is unknown.
    """

    number: int
    destination: Destination
    body: bytes
    state: CopyState = CopyState.ALLOWED
    clause: str | None = None
    audience: "list[Subscription]" = field(default_factory=list)
    copies: "list[MessageCopy]" = field(default_factory=list)
    committed_together: "list[Message]" = field(default_factory=list)

    def __str__(self) -> str:
        return f"message {self.number}"

    def copy_for(self, subscription: Subscription | None) -> MessageCopy:
        """Return the copy for this subscription; a queue's message has only one."""
        owner = None if self.destination.is_queue else subscription
        for copy in self.copies:
            if copy.subscription is owner:
                return copy
        copy = MessageCopy(self, self.state, self.clause, owner)
        self.copies.append(copy)
        return copy

    def set_state(self, state: CopyState, clause: str | None = None) -> None:
        """Set state and clause of all copies that have not arrived."""
        self.state, self.clause = state, clause
        for copy in self.copies:
            if not copy.arrivals:
                copy.set_state(state, clause)

    def mark_sent(self, clause: str) -> None:
        """Note that the server accepted the message: its audience must get it, or `clause` is broken."""
        self.state, self.clause = CopyState.ALLOWED, None
        if self.destination.may_swallow or not (self.audience or self.destination.keeps):
            return
        for subscription in [None] if self.destination.is_queue else self.audience:
            copy = self.copy_for(subscription)
            if not copy.arrivals:
                copy.set_state(
                    CopyState.DUE, "STOMP-SUB-014" if self._shares_session(subscription) else clause
                )

    def _shares_session(self, subscription: Subscription | None) -> bool:
        """True if another subscription of the same session must get a copy."""
        return subscription is not None and any(
            other.session is subscription.session for other in self.audience if other is not subscription
        )


@dataclass(eq=False, slots=True)
class Transaction:
    """Frames of an open transaction. `settlements`: pairs of a delivery and True for ACK, False for NACK."""

    name: str
    begun_again: bool = False
    messages: list[Message] = field(default_factory=list)
    settlements: "list[tuple[MessageDelivery, bool]]" = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Session:
    """The client's side of a session. `former`: settled deliveries. `message_ids`: messages by received message-id."""

    number: int
    version: str
    is_over: bool = False
    subscriptions: "dict[str, Subscription]" = field(default_factory=dict)
    removed: "list[Subscription]" = field(default_factory=list)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    unsettled: "list[MessageDelivery]" = field(default_factory=list)
    former: "list[MessageDelivery]" = field(default_factory=list)
    message_ids: dict[str, Message] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"session {self.number}"

    def find(self, key: tuple[tuple[str, str], ...]) -> "MessageDelivery | None":
        """Return the unsettled delivery that ACK and NACK name by these headers, or None."""
        return next((delivery for delivery in self.unsettled if delivery.key == key), None)

    def settle(self, delivery: "MessageDelivery") -> None:
        """Note that a delivery is settled."""
        delivery.is_settled = True
        self.unsettled.remove(delivery)
        delivery.subscription.unsettled.remove(delivery)
        self.former.append(delivery)

    def touched_by_transaction(self, subscription: "Subscription") -> bool:
        """True if an open transaction settles a delivery of this subscription."""
        return any(
            delivery.subscription is subscription
            for transaction in self.transactions.values()
            for delivery, _ in transaction.settlements
        )


def key_of(frame: "Frame", version: str) -> tuple[tuple[str, str], ...] | None:
    """Return the headers by which ACK and NACK name this MESSAGE (STOMP-ACK-002); None if it lacks one of them."""
    names = {"1.2": (("id", "ack"),), "1.1": (("message-id", "message-id"), ("subscription", "subscription"))}
    pairs = [
        (name, frame.get(header)) for name, header in names.get(version, (("message-id", "message-id"),))
    ]
    found = tuple((name, value) for name, value in pairs if value is not None)
    return found if len(found) == len(pairs) else None
