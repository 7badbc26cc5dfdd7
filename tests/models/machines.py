"""The state machines by name."""

from conformance.models.delivery_machine import DeliveryMachine
from conformance.models.machines import ModelMachine
from conformance.models.membership_machine import MembershipMachine
from conformance.models.publishing_machine import PublishingMachine

MACHINES: dict[str, type[ModelMachine]] = {
    "publishing": PublishingMachine,
    "delivery": DeliveryMachine,
    "membership": MembershipMachine,
}
