"""Foundations that every other package builds on; nothing here imports anything else of this repository.

errors              the exceptions that users see, and the wrapper that turns them into messages and exit codes
arguments           help texts of the entry scripts, and the flags that all steps of data preparation share
files               finding files, and writing them atomically
folder_lock         one process at a time writes into a folder
finished_outputs    notes on finished outputs, by which a repeated run skips what is up to date
text_files          reading UTF-8 text files line by line or in parts
line_stream         reading lines from a pipe or terminal as they arrive
interruption        how scripts end when a signal asks them to
processes           which process something belongs to, whether it is dead, and ending with the parent
parallel            mapping a function over items in several processes, in order
progress            a progress bar on a terminal, progress lines in a log
text_table          aligned columns of text
ragged              arrays of sequences of different lengths
counter_random      random numbers as a function of a counter
native_library      compiling and loading the C code of this repository
"""
