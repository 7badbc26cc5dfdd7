"""The server under test: target files, capabilities, and the process of a server that the suite starts itself."""
