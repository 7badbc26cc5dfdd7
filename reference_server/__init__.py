"""The reference server: a small threaded broker that obeys every clause of the specification."""
