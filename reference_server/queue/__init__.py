"""The partitioned queue as pure code: topics, partitions, consumer groups. No socket, no thread, no clock of its own.

Time comes in as `now`, in seconds of the queue's own clock, and never goes back.
"""
