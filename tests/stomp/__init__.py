"""Tests of the pure STOMP side of the reference server, by chapter of the specification."""
