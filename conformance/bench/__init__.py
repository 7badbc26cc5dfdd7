"""Fixtures of a test: connections and operations in one binding, recorded assertions, marks, model adapter."""
