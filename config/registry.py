"""Registries: the implementation of each choice of a configuration key."""
from dataclasses import fields
from typing import TypeVar

Implementation = TypeVar("Implementation")


def registry(node: type, key: str, implementations: dict[str, Implementation]) -> dict[str, Implementation]:
    """Return `implementations`, a dictionary by choice, after a check that it covers exactly the choices of a key.

    To add a choice, add its name to the key's `choices` in config/config.py and its implementation to the registry. A
    name without an implementation, or the reverse, is found as soon as the registry's module is imported.

    Args:
        node: the class of the configuration node, for example LearnRateConfig.
        key: the name of the key, for example "lr_scheduler".
        implementations: what implements each choice.

    Raises:
        TypeError: a choice has no implementation, or an implementation is not a choice.
    """
    (choices,) = (entry.metadata["choices"] for entry in fields(node) if entry.name == key)
    for name in choices:
        if name not in implementations:
            raise TypeError(f"{node.__name__}.{key} allows {name!r}, which has no implementation in its registry")
    for name in implementations:
        if name not in choices:
            raise TypeError(f"{name!r} is implemented, but is not among the choices of {node.__name__}.{key}")
    return implementations
