"""Who tests the tests: faulty brokers that the suite must catch, odd but conforming ones that it must leave alone.

`faults` holds the faults and `variants` the oddities; each is a function that patches the reference server from
outside. `serving` starts a server so patched, `judging` has the suite judge it, `tables` prints what came of it.
"""
