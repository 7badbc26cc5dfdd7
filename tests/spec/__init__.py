"""Tests of the text itself: its form, its links, its examples, and the files for machines beside it."""
