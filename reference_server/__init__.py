"""The reference server: a small threaded broker that conforms to every clause of the specification."""
