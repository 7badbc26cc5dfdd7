"""Frames that cross on their way, and the facts that the model may still rely on."""

from conformance.models.stomp.broker import StompModel
from conformance.models.stomp.broker_under_test import FrameOutcome
from conformance.wire.frames import Frame
from tests.models_stomp.toy_adapter import StompLedger

GRANTED = FrameOutcome(granted=True)


def test_a_message_that_crosses_an_unsubscribe_need_not_be_settled():
    model = StompModel(StompLedger(), "1.1", redelivers=True, keeps=True)
    session, destination = model.add_session(), model.add_destination("queue", is_queue=True)
    model.subscribe(session, "s", destination, "client")(GRANTED)
    message = model.new_message(destination)
    model.send(message)(GRANTED)
    unsubscribed = model.unsubscribe(session.subscriptions["s"])
    headers = (("subscription", "s"), ("message-id", "m"), ("destination", "queue"))
    model.observe_message(session, Frame("MESSAGE", headers, message.body))
    unsubscribed(GRANTED)
    (delivery,) = session.unsettled
    assert delivery.doubt
