"""Whether the suite says the same each time: on a busy machine, over slow and odd networks, on a server in use."""
