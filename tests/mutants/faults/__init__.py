"""Faults, by what they break. A patch replaces something of the reference server, in its own process only."""
