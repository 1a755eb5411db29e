"""From examples to padded batches: which examples go into which batch, and how."""
