"""The reference server in the tests of those who write clients: in their process, as a fixture, with oddities."""
