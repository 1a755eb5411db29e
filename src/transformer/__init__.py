"""The network: ids in, log-probabilities out. One set of weights, two ways to run it."""
