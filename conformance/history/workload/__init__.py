"""Clients of a concurrent run: what each of them does, and the state that they share."""
