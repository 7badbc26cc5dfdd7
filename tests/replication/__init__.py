"""The state machines of the server on a log, without Kafka: what each command does, and that all nodes agree."""
