"""Where a program runs: the device, the ranks of a distributed run, signals."""
