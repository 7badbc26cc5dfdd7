"""Tests of failure files and of their replay."""
