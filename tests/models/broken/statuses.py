"""Faults in the status of one reply: an operation is accepted that must be refused, or the number is wrong."""

from typing import Any

from tests.models.broken.registry import FAULTS, breaks
from tests.models.toy_queue import ToyQueue, ToyReply


def answers(machine: str, path: str, right: int, wrong: int, *clauses: str) -> None:
    """Register a queue that answers the operation with status `wrong` instead of `right`."""

    class Wrong(ToyQueue):
        def perform(self, asked: str, body: dict[str, Any]) -> ToyReply:
            reply = super().perform(asked, body)
            matches = asked.startswith(path) and reply.status == right
            return reply._replace(status=wrong) if matches else reply

    Wrong.__name__ = f"answers {path} by {wrong} for {right}"
    assert Wrong.__name__ not in FAULTS
    breaks(machine, *clauses)(Wrong)


#: Clauses that an accepted operation of an ended consumer may break.
GONE = ("LIVE-EVICT-1", "LIVE-GONE-1", "GROUP-REMOVE-2", "MEMBER-UNREGISTER-1", "LIVE-BEAT-1", "LIVE-SIGN-1")

ADD_TOPIC, PUBLISH = "/topic/add-topic", "/producer/publish/"
ADD, REMOVE = "/consumer-group/add", "/consumer-group/remove"
REGISTER, UNREGISTER = "/consumer/register-consumer", "/consumer/unregister-consumer"
SUBSCRIBE, UNSUBSCRIBE = "/consumer/subscribe-topic", "/consumer/unsubscribe-topic"
POLL, HEARTBEAT = "/consumer/poll", "/consumer/heartbeat"
ACKNOWLEDGE, GIVE_BACK = "/consumer/acknowledgement", "/consumer/negative-acknowledgement"

answers("publishing", ADD_TOPIC, 200, 201, "TOPIC-ADD-1")
answers("publishing", ADD_TOPIC, 409, 200, "TOPIC-ADD-2")
answers("publishing", ADD_TOPIC, 409, 400, "TOPIC-ADD-3")
answers("publishing", PUBLISH, 200, 202, "PUB-STORE-1", "PUB-KEY-1", "PUB-ACK-1")
answers("publishing", PUBLISH, 404, 200, "PUB-TOPIC-1", "PUB-ACK-3")
answers("publishing", PUBLISH, 404, 400, "PUB-TOPIC-2")
answers("publishing", PUBLISH, 400, 200, "PUB-BODY-1")
answers("membership", ADD, 200, 201, "GROUP-ADD-1")
answers("membership", REMOVE, 202, 200, "GROUP-REMOVE-1")
answers("membership", REMOVE, 404, 202, "GROUP-REMOVE-4")
answers("membership", REMOVE, 404, 400, "GROUP-REMOVE-5")
answers("membership", REGISTER, 200, 201, "MEMBER-REGISTER-1")
answers("membership", REGISTER, 404, 200, "MEMBER-REGISTER-2")
answers("membership", REGISTER, 404, 400, "MEMBER-REGISTER-3")
answers("membership", REGISTER, 409, 400, "MEMBER-REGISTER-5")
answers("membership", SUBSCRIBE, 200, 202, "MEMBER-SUBSCRIBE-1")
answers(
    "membership",
    SUBSCRIBE,
    404,
    200,
    "MEMBER-SUBSCRIBE-2",
    "LIVE-EVICT-1",
    "LIVE-GONE-1",
    "GROUP-REMOVE-2",
    "MEMBER-UNREGISTER-1",
)
answers("membership", SUBSCRIBE, 404, 400, "MEMBER-SUBSCRIBE-3", "LIVE-GONE-2")
answers("membership", UNSUBSCRIBE, 202, 200, "MEMBER-UNSUBSCRIBE-1")
answers("membership", UNSUBSCRIBE, 404, 202, "MEMBER-UNSUBSCRIBE-2", *GONE)
answers("membership", UNSUBSCRIBE, 404, 400, "MEMBER-UNSUBSCRIBE-3", "LIVE-GONE-2")
answers("membership", UNREGISTER, 202, 200, "MEMBER-UNREGISTER-1")
answers(
    "membership", UNREGISTER, 404, 202, "MEMBER-UNREGISTER-2", "LIVE-EVICT-1", "LIVE-GONE-1", "GROUP-REMOVE-2"
)
answers("membership", UNREGISTER, 404, 400, "MEMBER-UNREGISTER-3", "LIVE-GONE-2")
answers("membership", HEARTBEAT, 202, 204, "LIVE-BEAT-1")
answers(
    "membership",
    HEARTBEAT,
    404,
    202,
    "LIVE-BEAT-2",
    "LIVE-EVICT-1",
    "LIVE-GONE-1",
    "GROUP-REMOVE-2",
    "MEMBER-UNREGISTER-1",
)
answers("membership", HEARTBEAT, 404, 400, "LIVE-BEAT-3", "LIVE-GONE-2")
answers(
    "delivery",
    POLL,
    200,
    202,
    "POLL-EMPTY-2",
    "POLL-OK-1",
    "POLL-START-1",
    "DELIVER-1",
    "ACK-COMMIT-2",
    "POLL-FAIR-1",
)
answers("delivery", POLL, 204, 200, "POLL-EMPTY-1", "POLL-BATCH-1")
answers("delivery", POLL, 204, 503, "POLL-EMPTY-2")
answers("delivery", POLL, 404, 204, "POLL-UNKNOWN-1")
answers("delivery", POLL, 404, 400, "POLL-UNKNOWN-2")
answers("delivery", ACKNOWLEDGE, 202, 200, "ACK-OK-1")
answers("delivery", ACKNOWLEDGE, 409, 202, "ACK-UNKNOWN-1", "ACK-OTHER-1")
answers("delivery", ACKNOWLEDGE, 409, 400, "ACK-UNKNOWN-2")
answers("delivery", ACKNOWLEDGE, 404, 202, "ACK-CONSUMER-1")
answers("delivery", ACKNOWLEDGE, 404, 400, "ACK-CONSUMER-2")
answers("delivery", GIVE_BACK, 202, 200, "NACK-OK-1")
answers("delivery", GIVE_BACK, 409, 202, "NACK-UNKNOWN-1")
answers("delivery", GIVE_BACK, 409, 400, "NACK-UNKNOWN-2")
