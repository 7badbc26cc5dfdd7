"""The client's side of one session, as the model knows it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.models.stomp.messages import Message

if TYPE_CHECKING:
    from conformance.models.stomp.messages import Delivery, Subscription


@dataclass(slots=True)
class Seen:
    """What all examples of a run have seen of a server, and what was known before.

    `broken`: clauses that the server is known to break. If one of them explains what happens, it does.
    `redelivery`: a message came again that was not settled when its session ended. `in_subscription` and `in_session`:
    the most messages that either had to settle, the newest included, by what that came from: mode, and whether a queue.
    """

    redelivery: bool = False
    broken: frozenset[str] = frozenset()
    in_subscription: dict[tuple[str, bool], int] = field(default_factory=dict)
    in_session: dict[tuple[str, bool], int] = field(default_factory=dict)

    def delivered(self, subscription: "Subscription") -> None:
        """A message came for a subscription in one of the client modes."""
        kind = subscription.kind
        for counts, unsettled in (
            (self.in_subscription, subscription.unsettled),
            (self.in_session, subscription.session.unsettled),
        ):
            counts[kind] = max(len(unsettled), counts.get(kind, 0))

    def takes_more(self, subscription: "Subscription") -> bool:
        """Whether the server sends to this subscription, whatever it holds back from those with much to settle."""
        unsettled = subscription.session.unsettled
        return not unsettled or (
            len(unsettled) < self.in_session.get(subscription.kind, 0)
            and len(subscription.unsettled) < self.in_subscription.get(subscription.kind, 0)
        )


@dataclass(eq=False, slots=True)
class Transaction:
    """What was done in a transaction so far; settlements are pairs of a delivery and whether it was an ACK."""

    name: str
    begun_again: bool = False
    messages: list[Message] = field(default_factory=list)
    settlements: "list[tuple[Delivery, bool]]" = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Session:
    """One session; `former` are the deliveries that are settled, and `message_ids` those that it received."""

    number: int
    version: str
    is_over: bool = False
    subscriptions: "dict[str, Subscription]" = field(default_factory=dict)
    removed: "list[Subscription]" = field(default_factory=list)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    unsettled: "list[Delivery]" = field(default_factory=list)
    former: "list[Delivery]" = field(default_factory=list)
    message_ids: dict[str, Message] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"session {self.number}"

    def find(self, key: tuple[tuple[str, str], ...]) -> "Delivery | None":
        """The delivery that is not settled and that ACK and NACK name like this."""
        return next((delivery for delivery in self.unsettled if delivery.key == key), None)

    def settle(self, delivery: "Delivery") -> None:
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
