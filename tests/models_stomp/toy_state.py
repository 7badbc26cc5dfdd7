"""Choices of the toy broker, and its messages, destinations, subscriptions and sessions."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.wire.frames import Frame

if TYPE_CHECKING:
    from tests.models_stomp.toy_broker import ToyBroker


@dataclass(frozen=True)
class BrokerChoices:
    """Choices open to a conforming broker."""

    seed: int = 0
    turn: str = "round robin"  # the receiver of a queue's message: "round robin", "first", "last", "random"
    back_to: str = "front"  # the place of a returned message in its queue: "front", "back"
    message_ids: str = "per message"  # or "per delivery"
    acks: str = "numbers"  # or "message-id": the ack header has the same value
    nack: str = "again"  # or "drop"
    late: str = "refuse"  # a late ACK: "refuse", "grant"
    unsubscribed: str = (
        "return"  # unsettled messages of a removed subscription: "return", "hold" until the end
    )
    aborted: str = "keep"  # an ACK that was aborted: "keep" the delivery, or deliver "anew"
    nack_in_transaction: str = "commit"  # it takes effect "at once" or with the "commit"
    begin_again: str = "refuse"  # or "go on"
    used_ids: str = "accept"  # ids that were used before: "accept", "refuse"
    cumulative_1_0: bool = True  # an ACK of 1.0 covers earlier messages
    window: int | None = None  # most unsettled messages of a subscription
    receipt_first: bool = False  # the RECEIPT before the messages that the frame makes available
    redelivers: bool = True
    keeps: bool = True
    notices_late: bool = False  # a lost connection is noticed only after a while
    lags: bool = False  # messages for other sessions take a while


class Refused(Exception):
    """The frame gets an ERROR."""


@dataclass(eq=False)
class Stored:
    number: int
    body: bytes


@dataclass(eq=False)
class Pending:
    """A message that a subscription has to settle."""

    stored: Stored
    message_id: str
    ack: str


@dataclass(eq=False)
class Subscription:
    id: str
    destination: str
    mode: str
    session: "ToySession"
    pending: list[Pending] = field(default_factory=list)
    held: list[Stored] = field(default_factory=list)


@dataclass(eq=False)
class ToyDestination:
    name: str
    is_queue: bool
    waiting: deque[Stored] = field(default_factory=deque)
    subscriptions: list[Subscription] = field(default_factory=list)
    turns: int = 0


Step = tuple[str, dict[str, str], bytes]


class ToySession:
    """One connection; the test reads its end by `receive`."""

    def __init__(self, broker: "ToyBroker") -> None:
        self.broker = broker
        self.subscriptions: dict[str, Subscription] = {}
        self.used_ids: set[str] = set()
        self.used_names: set[str] = set()
        self.transactions: dict[str, list[Step]] = {}
        self.former: set[tuple[str, str]] = set()
        self.under_way: deque[Frame] = deque()
        self.inbox: deque[Frame] = deque()
        self.is_dead = False
        self.is_over = False

    def send(self, command: str, headers: "list[tuple[str, str]]", body: bytes = b"") -> None:
        if not self.is_dead:
            self.broker.handle(self, command, dict(headers), body)

    def receive(self, *, wait: bool) -> Frame | None:
        if wait or not self.broker.choices.lags:
            self.flush()
        if self.inbox:
            return self.inbox.popleft()
        self.is_over = self.is_over or (self.is_dead and not self.under_way)
        return None

    def flush(self) -> bool:
        came = bool(self.under_way)
        self.inbox += self.under_way
        self.under_way.clear()
        return came

    def end(self, how: str) -> None:
        del how
        self.is_over = True
        if not self.is_dead:
            self.broker.lost(self)

    def emit(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        if not self.is_dead:
            self.under_way.append(Frame(command, tuple(headers.items()), body))
