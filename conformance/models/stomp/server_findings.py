"""The client's side of one session, as the model knows it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.stomp.entities import Subscription


@dataclass(slots=True)
class ServerFindings:
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
