"""Export to MINDIR, for inference with MindSpore, on Ascend processors above all.

cells       the encoder and a step of the decoder with explicit caches
format      the format: which files are written
"""
