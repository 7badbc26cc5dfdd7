"""Failures as files, and their replay: the same octets sent to a server again, and its answers compared."""
