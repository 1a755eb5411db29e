"""MASS on MindSpore: masked sequence to sequence pre-training, from raw text to scores."""
