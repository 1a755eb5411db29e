"""Search and scores over a test set, and what is written of them."""
