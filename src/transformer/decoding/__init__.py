"""Decoding: the pieces of the search, and the cached steps of the network that it is built on.

options.py        what is searched for
constraints.py    tokens that a hypothesis may not be continued with
hypotheses.py     finished and unfinished hypotheses
sampling.py       drawing predictions at random; beam search is src/transformer/beam_search.py
interface.py      cached steps: the interface between the search and the network
graph_steps.py    ... as MindSpore graphs, for every device
c_steps.py        ... in C, for the CPU
selection.py      chooses between these two

The search works on numpy arrays. Only the implementations of the cached steps know MindSpore or C.
"""
