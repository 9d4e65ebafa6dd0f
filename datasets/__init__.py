"""Recordings: one format, one module."""
