"""A wait of the STOMP tests that is shorter than the patience of the bench."""

#: Seconds to wait for a frame that need not come, where its absence is only recorded.
SHORT_WAIT = 1.0
