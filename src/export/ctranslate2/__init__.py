"""Export to CTranslate2.

specification   our network as CTranslate2 describes networks
format          the format: which files are written
"""
