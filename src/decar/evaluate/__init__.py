"""Metrics with intervals, of every network and baseline on the same molecules."""
