"""MASS on MindSpore: masked sequence to sequence pre-training, from raw text to scores."""
import os

os.environ.setdefault("GLOG_v", "3")  # MindSpore's own log shows errors only; it reads this when it is imported
