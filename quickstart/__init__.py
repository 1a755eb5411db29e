"""The quick start: a corpus made of the docstrings on this machine, and the report of the results.

`sh scripts/quickstart.sh` runs both, with the ordinary scripts in between. Nothing in src/ depends on this package.

docstring_corpus  making the corpus
docstrings        finding docstrings in Python files
prose             extracting English sentences from docstrings
report            the table of results, and results.json
loss_curves       the plot of the losses
"""
