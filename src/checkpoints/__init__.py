"""Checkpoints and the other files of a run folder.

files               the names of all files in a run folder, and the checkpoints that a folder holds
find                a trained model: its weights, configuration, vocabulary and text processing
descriptions        the vocabulary and text.json of a run folder
load                weights and optimizer state from files into a network and an optimizer
write               the checkpoints of a run
training_state      what resuming needs besides the weights and the optimizer state
validation_history  the best validation so far, and early stopping
resume              the checkpoint that a run is resumed from
average             the mean of several checkpoints
compatibility       checks that weights, network, vocabulary, configuration and data belong together

Only `load` and `write` import MindSpore.
"""
