"""The tests, by chapter. They get everything from the `bench`."""
