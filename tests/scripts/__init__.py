"""Tests of the sample clients, as the processes that a newcomer starts."""
