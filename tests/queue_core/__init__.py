"""Tests of the pure queue: no socket, no thread, and a clock that the tests advance."""
