"""The operators that the network is made of: one interface, two implementations.

interface.py            the interface, with the formula and the shapes of each operator
mindspore_operators.py  composed of MindSpore's own operators, for every device
c_operators.py          C kernels (src/transformer/kernels) as custom operators of MindSpore, for the CPU: each needs
                        one pass over memory where the composition needs five to ten
selection.py            chooses the implementation

Tests hold the two implementations equal. The search has an entry of its own into the library of kernels, which runs
the encoder, or a whole step of the decoder, in one call without MindSpore (src/transformer/decoding/c_steps.py).
"""
