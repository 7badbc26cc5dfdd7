"""Imported once by the process from which servers and runs are forked."""

from tests.mutants.processes import preload

preload()
