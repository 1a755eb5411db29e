"""From raw text to encoded text: tokens, subwords, word frequencies, with all cores on one file.

Nothing here imports MindSpore. The steps share `conversion.py`: parts of files go to worker processes and
come back in the order of the input, so the output does not depend on the number of processes.
"""
