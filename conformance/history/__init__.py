"""Histories of concurrent operations, and checkers that find in them what no conforming server can have done.

A history holds one event for each operation of a client: the client, the interval from invocation to completion, the
request and the reply, if one came. A checker concludes only from facts that hold for every order in which the server
may have carried out the operations: one operation precedes another only if it completed before the other was
invoked, and an operation without a reply may have been carried out at any later time, or never.

The checkers rely on three rules that client programs keep. Topics, groups, consumer names and texts are new, so that
every operation on them is in the history. One process at a time uses a consumer name. After an operation without a
reply, a consumer name is used only to leave, or to see whether it is still registered.

`events`              event types of a history, with their times
`server_parameters`   timeouts and extensions that the server declares; anomalies
`consumer_lifetimes`  bounds on when each consumer was registered and subscribed
`extremes`            extremes of growing sets, found by bisection
`rebalances`          bounds on when each group was rebalancing
`records`             records that were published or delivered, their positions and predecessors
`deliveries`          deliveries, settlements, records in flight, commits
`index`               a history with all of these, each derived once
`duplicates`          checkers of repeated deliveries
`liveness`            checkers of evictions and registrations
`loss`                checkers of records that are missing, late, invented or changed
`owed_records`        records that empty polls of a settled group had to return
`order`               checkers of the order of records in a partition
`ownership`           checkers of the assignment of partitions
`partitioning`        checkers of positions, keys and keyless records
`producers`           checkers of producer acknowledgements
`settlement`          checkers of consumer acknowledgements
`skipped_records`     deliveries before an earlier record was acknowledged, classified by cause
`checkers`            the table of all checkers, and the judgement of a history
`needs`               evidence that each checker needs
`promises`            engine-neutral properties, each with its checkers and clauses
`shrinking`           smallest histories that show an anomaly
`judgement`           judgement of a history file by promises
`system_facts`        facts about a system: the first line of a history file
`file_encoding`       lines of history files from events
`file_decoding`       events from lines of history files
`file_lines`          documents from lines of history files
`files`               history files: reading and writing
`operations`          operations of client programs, and the event that records each
`workload`            client programs: producers, consumers, clock, final reader
`client_runner`       runners of client programs: access to the server, group clocks, recording
`fault_injection`     faults during a concurrent run
`concurrent_run`      a run of many clients against one server, recorded as a history
"""
