"""Stability of the suite's verdicts: on a busy machine, over slow and odd networks, on a server in use."""
