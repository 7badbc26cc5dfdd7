"""Sample clients of the queue: a producer and a consumer."""
