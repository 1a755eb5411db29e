"""Programs that are copied into exported folders as they are; they do not import this project.

mass_text        raw text to token ids and back
mass_search      beam search on numpy arrays
mass_model       raw sentences in, predictions out
*/generate.py    the networks in each runtime, and the command line
"""
