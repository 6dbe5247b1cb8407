"""Wiring of source, translator and sink: policies, statistics and whole jobs."""
