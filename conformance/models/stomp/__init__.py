"""A pure model of plain STOMP: the frames that the text allows over queue-like and topic-like destinations.

Like the model of the queue, it never predicts a frame. It knows for each copy of a message whether it must come, may
come or must not come, and judges each frame by that. If the text leaves a choice (the receiver of a queue's
message, the order of messages, redelivery after a NACK, an ERROR for a late ACK), the model holds every choice
possible until a frame rules it out.

`judging`            a judge that skips clauses that the session's version lacks
`broker`             the whole model: one method for each operation
`entities`           destinations, subscriptions, messages, deliveries, transactions, sessions
`message_checks`     MESSAGE frames
`settling`           ACK and NACK, and the deliveries that one of them covers
`transactions`       BEGIN, COMMIT and ABORT
`server_findings`    properties of the server, learnt over all examples of a run
`broker_under_test`  the interface to the broker that the model runs against
`connections`        sends and reads frames on all connections of a run
`driver`             performs operations and gives each answer to the model
`draws`              sessions, destinations and deliveries chosen by Hypothesis
`machine`            the Hypothesis state machine
"""
