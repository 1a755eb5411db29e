"""Checkpoints: finding, writing, resuming and averaging them, and checks that files belong together."""
