"""Inference with a trained model: text generation, scores of targets, and the evaluation of test sets."""
