"""Processor time of a run: how much of it the suite takes, its tests by kind, and the server."""
