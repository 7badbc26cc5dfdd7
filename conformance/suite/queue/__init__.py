"""The partitioned queue, over HTTP and over STOMP."""
