"""The server under test: target files, capabilities, and a server process that the suite launches."""
