"""Command line of the suite, and the same options for pytest's command line."""
