"""Tests of the live page of the reference server in headless Chromium; they are skipped where there is none."""
