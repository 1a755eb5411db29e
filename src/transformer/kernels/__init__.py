"""C kernels for the CPU, one operation a file, compiled at their first use (build.py).

Training runs them as custom operators of MindSpore (src/transformer/operators/c_operators.py); kernel.h describes the
calling convention, and each file begins with its formulas. The search calls decode_step.c by ctypes
(src/transformer/decoding/c_steps.py).
"""
