"""Data sets on disk: TFRecord or MindRecord files, with a description and an index beside them.

files        the names of a data set's files, and which data sets a path or pattern stands for
info         the description: what a data set holds and how it was made (JSON)
index        the examples as flat arrays that can be mapped into memory
tfrecord     writes and reads TFRecord files
varints      the variable-length integers of TFRecord files
mindrecord   writes and reads MindRecord files
             (mindrecord_header: checks the header of such a file, before MindSpore reads it)
encoding     turns parts of a text into records, in worker processes
statistics   counts what becomes of the text, for the description
writer       writes data sets: records, index, vocabulary and description
reader       reads records that have no valid index, and builds the index
record_set   opens data sets for training, evaluation or inspection
"""
