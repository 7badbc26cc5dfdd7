"""Apache Kafka for the tests of the server on a log: one broker or three, in KRaft mode, on free ports.

| module | subject |
| --- | --- |
| `cluster` | installation from Maven Central, the processes, their ports and ends |
| `nodes` | nodes of the reference server on such a cluster |
| `twins`, `twin_node`, `judged_twins` | nodes with one fault each, and whether the suite catches them |
| `control`, `clusters` | kills, stops and restarts of nodes and brokers, and runs of the suite meanwhile |
| `measures` | rates, latencies and memory of nodes beside a bare producer |
| `client` | a client of a node |
| `__main__` | `python -m tests.kafka`, for people |
"""
