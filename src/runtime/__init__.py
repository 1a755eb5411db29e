"""The environment that a program runs in.

device       setting up MindSpore for a device
distributed  the ranks of a distributed run, and their collective communication
memory       an estimate of the memory that training takes
signals      SIGTERM and Ctrl-C as requests to stop
"""
