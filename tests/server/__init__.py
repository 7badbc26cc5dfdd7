"""Tests of the server over real sockets, on free ports of the loopback interface."""
