"""The typed configuration: what keys there are (config.py), how a file becomes one (loading.py)."""
from config.config import Config
from config.loading import load_config

__all__ = ["Config", "load_config"]
