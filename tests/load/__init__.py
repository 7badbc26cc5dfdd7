"""Load generator for STOMP 1.2 over WebSocket: message rates and latencies of any broker, and ratios of two."""
