"""Client programs of a concurrent run, and the state that they share.

`consumers`       consumers that read, fail in various ways, and join again
`programs`        producers, the clock, and the final reader of each group
`workload_state`  the plan of a run, and the shared state of its programs
"""
