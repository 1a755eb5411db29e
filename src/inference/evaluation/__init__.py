"""Evaluation of test sets: metrics, confidence intervals, reports."""
