"""Pure models of the partitioned queue: the replies that the text allows, given all operations so far.

A model never predicts a reply. It keeps the facts that earlier replies prove, and judges each new reply against them.
If the text leaves a choice (the partition of a key, the owner of a partition, the moment of an eviction within the
grace), the model treats every choice as possible until a reply rules it out.

`judging`             the interface by which a model reports assertions
`queue`               the whole model: one `observe_…` method for each operation
`topic_removal`       topics that were removed, and what must not come back of them
`topics`              the records of a topic; replies to publishes
`partition_classes`   records known to share a partition, and records known not to
`groups`              one consumer group: members, rebalances, records in flight
`members`             consumers, and the interval in which a silent one is evicted
`cursors`             the progress of one group in one topic
`consumer_registry`   all consumers ever registered; refusals of unknown ones
`record_matching`     the published record that a delivered item stands for
`deliveries`          replies to polls
`assignments`         owners of partitions, and their shares
`settlements`         replies to acknowledgements and negative acknowledgements
`clause_attribution`  the clause to name when a record is missing, early or repeated
`producers`           the acknowledgements that producers receive
`queue_under_test`    the interface to the queue that a model runs against
`driver`              performs operations and gives each reply to the model
`driver_calls`        the operations of a program, to perform it again
`request_forms`       forms of an operation that mean the same
`machines`            the base of the Hypothesis state machines, and `run`
`publishing_machine`  producers, partitioning and order
`delivery_machine`    polls, acknowledgements and committed offsets
`membership_machine`  registration, liveness and rebalances
`membership_scenario` the topics, groups and consumers of that machine
`minimizer`           the search for the shortest failing program
`program_shrinking`   repeats of a failing program without single operations
`rule_coverage`       counts of rules by class of state
`stomp`               the model of plain STOMP, with a map of its own
"""
