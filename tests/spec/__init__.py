"""Tests of the specification: its form, links and examples, and its machine-readable files."""
