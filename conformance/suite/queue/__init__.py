"""Tests of the partitioned queue, over HTTP and over STOMP."""
