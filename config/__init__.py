"""The typed configuration: its keys (config.py), reading and writing it (loading.py), its reference (reference.py)."""
from config.config import Config
from config.loading import load_config

__all__ = ["Config", "load_config"]
