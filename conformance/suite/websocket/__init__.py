"""Tests of STOMP over WebSocket."""
