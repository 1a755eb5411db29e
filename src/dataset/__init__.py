"""Data sets: encoded text becomes records, and records become padded int32 batches.

token_ids         the ids of encoded text
example_loader    what the two loaders have in common
mono_data_loader  loads sentences, one per line
bi_data_loader    loads pairs, one per line of two files
aligned_parts     splits two parallel files into parts that hold the same lines
options           the flags that the data set scripts share
preparation       makes the data sets of the scripts
report            the printed statistics and warnings about a data set
inspection        shows examples and batches as text (--inspect)

records/          data sets on disk
batching/         from records to batches
cornell/          the Cornell Movie-Dialogs Corpus
"""
