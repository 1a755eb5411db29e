"""What a training run leaves to see: metrics.jsonl, the progress bar, TensorBoard events, the picture of the losses."""
