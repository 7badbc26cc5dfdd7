"""Figures of the README: those that were measured, kept in docs/figures.json, and those that can be counted."""
