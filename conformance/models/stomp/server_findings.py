"""Findings about a server, collected over all examples of a run."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.stomp.entities import Subscription


@dataclass(slots=True)
class ServerFindings:
    """Properties of a server that earlier examples showed, or that were known before the run.

    `broken`: clauses that the server is known to break; a lost message is put down to one of them if it can be.
    `redelivery`: True if an unsettled message came again after the end of its session. `in_subscription`,
    `in_session`: the largest number of unsettled messages, the newest included, by mode and whether the destination
    is a queue.
    """

    redelivery: bool = False
    broken: frozenset[str] = frozenset()
    in_subscription: dict[tuple[str, bool], int] = field(default_factory=dict)
    in_session: dict[tuple[str, bool], int] = field(default_factory=dict)

    def delivered(self, subscription: "Subscription") -> None:
        """Count a message that arrived for a subscription in one of the client modes."""
        kind = subscription.kind
        for counts, unsettled in (
            (self.in_subscription, subscription.unsettled),
            (self.in_session, subscription.session.unsettled),
        ):
            counts[kind] = max(len(unsettled), counts.get(kind, 0))

    def takes_more(self, subscription: "Subscription") -> bool:
        """True if the server has sent to subscriptions of this kind with as many unsettled messages as this one has."""
        unsettled = subscription.session.unsettled
        return not unsettled or (
            len(unsettled) < self.in_session.get(subscription.kind, 0)
            and len(subscription.unsettled) < self.in_subscription.get(subscription.kind, 0)
        )
