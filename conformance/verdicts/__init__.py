"""Assertions recorded per clause and binding, and the verdicts and exit status decided from them."""
