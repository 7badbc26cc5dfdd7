"""Who tests the tests: faulty brokers that the suite must catch, odd but conforming ones that it must leave alone.

`faults` holds the faults and `variants` the oddities; each is a function that patches the reference server from
outside. `serving` starts a server so patched, `judging` has the suite judge it, `tables` prints what came of it.

A fault is here only if a client can see it by some requirement. A slow leak is none: the text says nothing about
memory, and what a client would see of it, that the server ends one day, no suite can wait for. That connections leave
nothing behind is tested from inside, in `tests/server`.
"""
