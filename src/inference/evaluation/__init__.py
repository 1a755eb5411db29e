"""Scoring a test set: metrics, confidence intervals, reports."""
