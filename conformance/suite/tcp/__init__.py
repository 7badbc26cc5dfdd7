"""Tests of STOMP over TCP: class `tcp`."""
