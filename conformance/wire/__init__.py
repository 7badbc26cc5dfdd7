"""Clients and strict readers: the only part of the suite that does I/O."""
