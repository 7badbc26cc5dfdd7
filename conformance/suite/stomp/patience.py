"""Waits of the tests of STOMP that are shorter than the patience of the bench."""

#: Seconds to watch for a frame that need not come, where its absence is only recorded.
SHORT_WAIT = 1.0
