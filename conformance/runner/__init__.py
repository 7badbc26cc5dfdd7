"""Execution of tests: collection, order, worker threads, the pytest hooks of a run."""
