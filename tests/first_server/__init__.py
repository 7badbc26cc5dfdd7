"""Stand-in for the first server of the queue, as its public clients see it, with a switch for each of its faults.

Records come over STOMP on WebSocket and are confirmed by producer acknowledgements alone; every other operation is
HTTP. `python -m tests.first_server --help` has the options. Its modules import neither the reference server nor the
suite.
"""
