"""The server on a log in Apache Kafka: every node applies the same commands in the same order, and so agrees.

| module | subject |
| --- | --- |
| `entries` | entries of logs, and the thread that reads them |
| `contact` | reasons why Kafka can't be reached |
| `log` | append to a partition of Kafka, follow it, ask for its end: the interface between state and log |
| `replica` | a state machine that is fed by one partition: commands in, results out |
| `commands` | the commands, as they lie in the log |
| `directory` | topics and the claims of consumer names: one state machine each |
| `shard` | groups: the state machine of one partition of their log, on the queue's core |
| `snapshots` | states that bound what a starting node has to read |
| `cluster` | the logs of one node: which exist, which are followed, settings that all nodes share |
| `stores` | Kafka topics, made and deleted |
| `records` | records in Kafka, and those that a node keeps to hand them out |
| `topics`, `groups` | the operations of the queue on topics and on groups |
| `operations` | the table of operations, as both bindings serve it |
| `waiting` | long polls, and the passing of time where nobody asks |
| `acknowledging` | producer acknowledgements for what other nodes stored or refused |
| `binding` | the queue behind STOMP |
| `application` | the same server around it: sessions, HTTP, one lock for output |
"""
