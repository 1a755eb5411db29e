"""MASS on MindSpore: masked sequence to sequence pre-training, from raw text to scores."""
import os

os.environ.setdefault("GLOG_v", "3")  # MindSpore's own log shows errors only; it reads this when it is imported
# OpenMP's threads (src/transformer/kernels) sleep between two kernels: by default they wait in a busy loop,
# and a training step took 5 times as long because MindSpore's threads had to share the processor with them. libgomp
# reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
