"""From raw text to subwords and word frequencies, with several processes per file. Nothing here imports MindSpore.

tokenization      tokenizing the files of a corpus
nltk_tokenizer    a fast form of nltk's tokenizer
recent_words      the bounded cache that it uses
detokenization    from tokens back to text
learn_codes       learning BPE codes
bpe_corpus        applying BPE codes to the files of a folder, and building the vocabulary
conversion        what tokenization and BPE share: files are converted line by line, in parallel and in order
spelling          lower case, # for digits, names for brackets: how a corpus spells its words
text_processing   all steps from raw text to the subwords that a model reads, and back
"""
