"""Tests of the sample clients, run as processes."""
