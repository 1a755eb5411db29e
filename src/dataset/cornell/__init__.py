"""The Cornell Movie-Dialogs Corpus: from the published files, or from encoded text, to data sets.

corpus              reads the published files and yields pairs of utterance and response
windows_characters  repairs characters that were read in the wrong encoding
split               splits the pairs by film and writes them as text
preparation         from the published corpus to encoded text
pair_files          finds the source and target files of encoded text
"""
