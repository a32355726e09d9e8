"""Fields of a record: those that this version knows, and those of a newer one, which are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["known", "merged", "unknown"]


def known(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of *values* that *names* has."""
    if values.keys() <= names.keys():  # as a rule, and a replayed ask does it twice
        return dict(values)
    return {name: value for name, value in values.items() if name in names}


NESTED = ("request", "resolved", "reply")
"""The objects of a record that have fields of their own; the others are kept as they are."""


def unknown(values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of *values* that *known*, a record of this version, does not have."""
    found: dict[str, Any] = {}
    if not values.keys() <= known.keys():
        found = {name: value for name, value in values.items() if name not in known}
    for name in NESTED:
        own = values.get(name)
        if own and name in known and (inner := unknown(own, known[name])):
            found[name] = inner
    return found


def merged(values: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with the fields of a newer version back in their places."""
    inner = {
        name: merged(values[name], more)
        for name, more in extra.items()
        if name in NESTED and isinstance(values.get(name), Mapping)
    }
    return {**values, **extra, **inner}
