"""Export to Hugging Face's transformers, whose Pegasus is our network.

format      the format: which files are written, and their content
names       the names of weights in both programs
tokenizer   tokenizer.json, with which raw text becomes token ids
generation  settings of the search, and code that reproduces our length penalty
runtime     an exported folder in transformers, for verification
"""
