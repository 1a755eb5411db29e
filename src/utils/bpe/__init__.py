"""Byte-pair encoding: codes, and the encoders that apply them.

codes       reading files of BPE codes
encoders    the interface of an encoder and its two implementations, in C and by subword-nmt
bpe.c       the C encoder: the text, a cache of words
splitter.c  the C encoder: splitting a word into subwords
counts.c    the C encoder: counting subwords
"""
