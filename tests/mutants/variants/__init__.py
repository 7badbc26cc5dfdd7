"""Oddities that the text allows."""
