"""The outputs of a training run: metrics.jsonl, the progress display, TensorBoard events, the loss curve."""
