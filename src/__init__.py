"""MASS on MindSpore: masked sequence to sequence pre-training, from raw text to scores.

The packages, from the lowest layer to the highest; none imports a higher one:

common            errors, files, progress, processes, compilation of C code
launcher          starting and stopping the processes of a run (imports common only)
utils             vocabulary, byte-pair encoding, schedules, metrics, monitoring
text              tokenization and BPE of text files
language_model    the masking of pre-training
dataset           from text to records, and from records to batches
transformer       the network, its operators and kernels, and decoding
checkpoints       writing, finding and loading checkpoints
runtime           devices, ranks and signals
training          the training loop
inference         generation, scoring and evaluation
"""
import os

os.environ.setdefault("GLOG_v", "3")  # MindSpore logs errors only; it reads this variable when it is imported
# OpenMP threads (src/transformer/kernels) sleep between two kernels. By default they wait actively, which made a
# training step 5 times as slow, because MindSpore's threads had to share the cores with them. libgomp reads this
# variable when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
