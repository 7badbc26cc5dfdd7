"""The command line of the suite, and the same options behind pytest's own command line."""
