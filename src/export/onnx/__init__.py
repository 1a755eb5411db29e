"""Export to ONNX, for ONNX Runtime.

graph       an ONNX graph that is written node by node
network     the encoder and a step of the decoder as such graphs
format      the format: which files are written
"""
