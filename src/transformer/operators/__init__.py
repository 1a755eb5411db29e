"""The operators that the network is made of, in two forms of one interface.

`plain.py` composes them from MindSpore's own operators, which run on every device. `native.py` runs C kernels
(native/*.c, compiled by `build.py` at the first use) through MindSpore's custom operators: each does in one pass over
memory what plain.py needs five to ten passes for. `choice.py` picks the form; tests hold the two equal.

The library has a second entrance, for the search alone: native/inference.c runs the encoder, and then a whole step of
the decoder in one call, without MindSpore (c_steps.py beside graph_steps.py one folder up).
"""
