"""Pure models of the queue: what its text allows, given the operations so far and the server's replies.

A model never foretells what a server does. It keeps what is certain, and says of each reply whether the
text allows it. Where the text leaves a choice (which partition a key maps to, which consumer owns a
partition, at which moment of the grace a silent consumer is evicted) the model knows nothing until replies
tell, and learns from them.

`judging`     how a model reports: clause, ok, expected, observed
`partition_classes`   what is known about which records share a partition
`topics`      the records of a topic, and what a reply to a publish may say
`cursors`     one group's progress in one topic: order, records in flight, committed records
`members`     consumers of a group, the window in which a silent one may be evicted
`groups`      a group: members, rebalances, ownership
`queue`       the whole: one `observe_…` for each operation
`producers`   the acknowledgements that producers receive
`system`       what a model is run against: operations, time, names
`driver`      performs an operation and lets the model judge the reply
`machines`    the Hypothesis state machines, `reach` their coverage
"""
