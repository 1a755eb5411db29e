"""From records to padded batches.

factory     the batch source for a record set and a configuration: where everything below is put together
lengths     how many examples of which lengths a data set holds
buckets     padded lengths for batches with one example per row
packing     patterns that fill rows with several examples
layout      the choice between both: the batch shapes and which examples go into which rows
plan        which examples belong to which batch of which step, as a pure function of seed, epoch and step
collate     from the examples of a batch to its arrays: masking, shifting, padding
batch       the arrays that the network takes, and their shape
source      iterates over the batches of one rank
"""
