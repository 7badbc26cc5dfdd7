"""Preload module of the fork server, imported once before servers and runs are forked."""

from tests.mutants.processes import preload

preload()
