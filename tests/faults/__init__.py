"""Faults that the suite injects, `--fault` and `--restart`, on servers that outlast them and on those that forget.

| module | subject |
| --- | --- |
| `forgetful` | a server in memory that forgets something of its state when it gets a signal |
| `door` | a process in front of a server that passes octets on: it is stopped and killed in place of a node |
"""
