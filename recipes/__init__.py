"""Recipes: from a folder of text to trained models, scores and a report, by one command.

`sh scripts/run_recipe.sh NAME ...` and `sh scripts/quickstart.sh` run them. A recipe runs the ordinary scripts one
after another and prints each command; nothing in src/ depends on this package.

__main__          the command line
recipe, register  what a recipe consists of, and all recipes by name
quickstart, gigaword, cornell, own
                  one recipe each: the text it needs, and how it is brought into the common layout
text_layout       the common layout of the text of a recipe, and reading the files that users have
arrange           the command that brings a user's text into that layout
gigaword_style    the command that spells tokenized text as the Gigaword corpus does
run_layout        the names of folders and files in the run folder of a recipe
steps             running commands one after another, and skipping those that are up to date
pipeline          the commands of all recipes, in their order
schedule          lengths of trainings that fit into a given time
tuning            the choice of settings of the search on the validation pairs
results, report   the figures of results.json; the table and the examples that are printed
loss_curves       the plot of the losses
docstring_corpus, docstrings, prose
                  the corpus of the quick start, made of the docstrings on this machine
"""
