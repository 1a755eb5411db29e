"""The register of recipes."""
from recipes import cornell, gigaword, own, quickstart

RECIPES = {recipe.name: recipe for recipe in (
    gigaword.RECIPE, cornell.RECIPE, own.RECIPE, quickstart.RECIPE, quickstart.FAST_RECIPE)}
"""The recipes by name. To add one, write a module with its text and its settings, and name it here."""
