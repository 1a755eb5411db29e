"""The operators that the network is made of: one interface, three implementations.

interface.py              the interface, with the formula and the shapes of each operator
mindspore_operators.py    composed of MindSpore's own operators, for the CPU
accelerator_operators.py  composed of them for GPU and Ascend, with accelerator_attention.py
c_operators.py            C kernels (src/transformer/kernels) as custom operators of MindSpore, for the CPU: each needs
                          one pass over memory where the composition needs five to ten
selection.py              chooses the implementation
number_format.py          decides the number format of the products

Tests hold the implementations equal. The search has an entry of its own into the library of kernels, which runs
the encoder, or a whole step of the decoder, in one call without MindSpore (src/transformer/decoding/c_steps.py).
"""
