"""What a run shows: the records of its cells, in their order."""

from __future__ import annotations

from openai_magics import cells
from openai_magics.conversation import Place

__all__ = ["Shown"]


class Shown:
    """The ids of the records that this run shows, by cell; a dict keeps a cell where it stood."""

    def __init__(self) -> None:
        self._ids: dict[str | Place, tuple[str, list[str]]] = {}
        self._code: dict[Place, str] = {}

    def add(self, place: Place, record: str) -> None:
        if self._ids.get(place.cell or place, ("",))[0] != place.execution:
            self._ids[place.cell or place] = place.execution, []
            if place.cell is None:
                self._code[place] = cells.code()
        self._ids[place.cell or place][1].append(record)

    def in_order(self, place: Place, ids: list[str]) -> None:
        execution, held = self._ids.get(place.cell or place, ("", []))
        if execution == place.execution:
            held[:] = [*(one for one in held if one not in set(ids)), *ids]

    def drop(self, place: Place) -> None:
        if place.cell and self._ids.get(place.cell, (place.execution,))[0] != place.execution:
            del self._ids[place.cell]

    def nameless(self) -> list[tuple[str, list[str]]]:
        """Return, of each cell whose id was not told, its source and what it shows."""
        return [(code, list(self._ids[place][1])) for place, code in tuple(self._code.items())]

    def ids(self) -> list[str]:
        return list(dict.fromkeys(one for _, ids in tuple(self._ids.values()) for one in ids))
