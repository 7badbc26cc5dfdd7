"""Conformance suite that judges a running server, at any URL, by the clauses of the specification."""
