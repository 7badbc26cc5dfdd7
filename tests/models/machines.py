"""The state machines by name."""

from conformance.models.delivery_machine import DeliveryMachine
from conformance.models.machines import QueueMachine
from conformance.models.membership_machine import MembershipMachine
from conformance.models.publishing_machine import PublishingMachine

MACHINES: dict[str, type[QueueMachine]] = {
    "publishing": PublishingMachine,
    "delivery": DeliveryMachine,
    "membership": MembershipMachine,
}
