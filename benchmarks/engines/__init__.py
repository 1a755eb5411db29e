"""The engines that the benchmarks compare: the same work for each, in a process of its own."""
