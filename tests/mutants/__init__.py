"""Mutants of the reference server: faulty brokers that the suite must catch, odd ones that it must pass.

`faults` holds the faults and `variants` the odd but conforming brokers; each is a function that patches the reference
server from outside. `serving` starts a patched server, `judging` runs the suite against it, `tables` prints the
outcomes.

A fault must break a requirement in a way that a client can observe. A slow memory leak is no such fault: the text has
no requirement on memory, and no test run is long enough to see the server fail. `tests/server` tests from inside that
connections leave nothing behind.
"""
