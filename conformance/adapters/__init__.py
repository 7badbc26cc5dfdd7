"""Adapters: engines driven through a small program, and the scenario that drives them (docs/adapters.md).

`protocol`   requests, answers and abilities of an adapter, and what an adapter announces
`serving`    adapters written in Python: the base class, and the loop that serves it
`process`    an adapter as a process that speaks JSON lines
`driver`     requests to an adapter, each recorded as events of a history
`consumer`   a consumer of the scenario: joins, reads, fails in various ways, and joins again
`phases`     members come, all stay, members fail; and when producers send
`state`      state that the programs of a scenario share
`scenario`   the scenario: producers, consumers, a late group, a final reader
"""
