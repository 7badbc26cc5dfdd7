"""Messages, and what is known of each copy of one that can arrive.

A message of a queue-like destination is one copy, which any subscription may get. A message of a topic-like one
is a copy for each subscription.
"""

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.wire.frames import Frame

AUTO, CLIENT, INDIVIDUAL = "auto", "client", "client-individual"


class CopyState(enum.Enum):
    """What is known of a copy."""

    FORBIDDEN = "must not come"
    ALLOWED = "may come"
    DUE = "must come"
    UNSETTLED = "was delivered and is not settled"


@dataclass(eq=False, slots=True)
class Destination:
    """A destination of the example.

    `keeps`: it holds messages for subscriptions to come. `may_swallow`: an ended subscription may still swallow some.
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
        """The subscriptions that are in effect for certain."""
        return [subscription for subscription in self.subscriptions if subscription.is_active]


@dataclass(eq=False, slots=True)
class Subscription:
    """A SUBSCRIBE of the example.

    `is_active` from its RECEIPT to the UNSUBSCRIBE, `is_gone` from the RECEIPT of that. `unsettled` is in the order in
    which the server sent.
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
        """Its mode, and whether it is one of a queue."""
        return self.mode, self.destination.is_queue

    def __str__(self) -> str:
        return f"subscription {self.id!r} of {self.session}"


@dataclass(eq=False, slots=True)
class MessageCopy:
    """One copy. `clause` is broken when it comes though it is FORBIDDEN, or doesn't come though it is DUE.

    `suspects` are the clauses of other frames that may have settled a UNSETTLED copy, if it turns out to be settled.
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
        """The only suspect; "" where there is none, or any of several."""
        return next(iter(self.suspects)) if len(self.suspects) == 1 else ""

    def set_state(self, state: CopyState, clause: str | None = None) -> None:
        """Know something else of it."""
        self.state, self.clause = state, clause


@dataclass(eq=False, slots=True)
class MessageDelivery:
    """A MESSAGE in one of the client modes; `key` is how ACK and NACK name it, as pairs of headers.

    `doubt` is "" while it is certainly to be settled. Else it isn't known whether the server still waits for that, and
    `doubt` names the clause that is broken if the message is lost when the session ends ("nothing": none).
    """

    copy: MessageCopy
    subscription: Subscription
    key: tuple[tuple[str, str], ...]
    is_settled: bool = False
    doubt: str = ""


#: The `doubt` of a delivery whose message may be gone.
NO_CLAUSE = "nothing"


@dataclass(eq=False, slots=True)
class Message:
    """A message; `state` and `clause` are those of copies that nobody has seen yet.

    `audience` are the subscriptions that were in effect when it was sent, and still were when it was committed.
    `committed_together` are the messages of a COMMIT whose outcome nobody was told.
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
        """The copy that this subscription may get; of a queue any may get the only one."""
        owner = None if self.destination.is_queue else subscription
        for copy in self.copies:
            if copy.subscription is owner:
                return copy
        copy = MessageCopy(self, self.state, self.clause, owner)
        self.copies.append(copy)
        return copy

    def set_state(self, state: CopyState, clause: str | None = None) -> None:
        """Know something else of all its copies that have not arrived yet."""
        self.state, self.clause = state, clause
        for copy in self.copies:
            if not copy.arrivals:
                copy.set_state(state, clause)

    def mark_sent(self, clause: str) -> None:
        """The server has taken it: its audience must get it, else `clause` is broken."""
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
        """Whether another subscription of the same session must get a copy too."""
        return subscription is not None and any(
            other.session is subscription.session for other in self.audience if other is not subscription
        )


@dataclass(eq=False, slots=True)
class Transaction:
    """What was done in a transaction so far; settlements are pairs of a delivery and whether it was an ACK."""

    name: str
    begun_again: bool = False
    messages: list[Message] = field(default_factory=list)
    settlements: "list[tuple[MessageDelivery, bool]]" = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Session:
    """One session; `former` are the deliveries that are settled, and `message_ids` those that it received."""

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
        """The delivery that is not settled and that ACK and NACK name like this."""
        return next((delivery for delivery in self.unsettled if delivery.key == key), None)

    def settle(self, delivery: "MessageDelivery") -> None:
        """The delivery is over."""
        delivery.is_settled = True
        self.unsettled.remove(delivery)
        delivery.subscription.unsettled.remove(delivery)
        self.former.append(delivery)

    def touched_by_transaction(self, subscription: "Subscription") -> bool:
        """Whether an open transaction is going to settle something of this subscription."""
        return any(
            delivery.subscription is subscription
            for transaction in self.transactions.values()
            for delivery, _ in transaction.settlements
        )


def key_of(frame: "Frame", version: str) -> tuple[tuple[str, str], ...] | None:
    """The headers by which ACK and NACK name this MESSAGE (STOMP-ACK-002); None where it lacks one of them."""
    names = {"1.2": (("id", "ack"),), "1.1": (("message-id", "message-id"), ("subscription", "subscription"))}
    pairs = [
        (name, frame.get(header)) for name, header in names.get(version, (("message-id", "message-id"),))
    ]
    found = tuple((name, value) for name, value in pairs if value is not None)
    return found if len(found) == len(pairs) else None
