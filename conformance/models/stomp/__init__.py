"""A pure model of plain STOMP: what its text allows over queue-like and topic-like destinations.

Like the models of the queue, it never foretells what a server does. It knows of each message whether it must come,
may come or must not come, and to whom, and says of each frame whether the text allows it. Where the text leaves a
choice (who gets a message of a queue, in which order, whether a NACK brings it back, whether a late ACK is
an error) the model knows nothing until frames tell, and learns from them.

`messages`      messages, the copies of them that can arrive, deliveries, subscriptions, destinations
`sessions`      what a session has open, and what was seen of the server
`arrivals`      what a MESSAGE frame may be
`settling`      ACK and NACK: what one of them covers
`transactions`  what takes effect together
`broker`        the whole: one method for each operation
`judging`       a judge that knows which clauses a version has
`system`         what the model is run against: sessions on a server, destinations, names
`connections`         sends frames and reads what comes, on every connection
`driver`        performs an operation and lets the model judge what comes
`choosing`      what the rules of the machine choose from
`machine`       the Hypothesis state machine
"""
