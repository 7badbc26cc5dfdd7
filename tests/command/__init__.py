"""Tests of the command line, as processes, against real servers on free ports."""
