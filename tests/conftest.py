"""Before any test imports MindSpore: the settings of src/__init__.py, which it and OpenMP read when they are loaded."""
import src  # noqa: F401
