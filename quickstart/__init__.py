"""The quick start: a corpus from the docstrings on this machine, and the report on what was learnt from it.

`sh scripts/quickstart.sh` runs both around the ordinary scripts; nothing in src/ depends on them.
"""
