"""The pieces a search is made of, on numpy arrays: hypotheses, constraints, random draws. No MindSpore here."""
