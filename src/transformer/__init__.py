"""The network: token ids in, log-probabilities out. One set of weights serves training, scoring and search."""
