"""Tests of the suite, by chapter. A `Bench` is the only fixture of each test."""
