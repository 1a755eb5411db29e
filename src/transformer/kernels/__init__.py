"""The C kernels, one operation a file, and their compilation."""
