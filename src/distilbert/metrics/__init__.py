"""Metrics: numbers from predictions, in pure numpy; no files, no models."""
