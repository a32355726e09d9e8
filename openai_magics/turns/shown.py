"""What a run shows: the records of its cells, in their order."""

from __future__ import annotations

from openai_magics import cells
from openai_magics.conversation import Place

__all__ = ["Shown"]


class Shown:
    """The ids of the records that this run shows, by cell; a dict keeps a cell where it stood."""

    def __init__(self) -> None:
        self._ids: dict[str | Place, tuple[str, list[str]]] = {}
        self._code: dict[str | Place, str] = {}

    def add(self, place: Place, record: str) -> None:
        cell = place.cell or place
        if self._ids.get(cell, ("",))[0] != place.execution:
            self._ids[cell] = place.execution, []
            if place.cell is None or place.cell.startswith(cells.HANDLE):
                self._code[cell] = cells.code()
        self._ids[cell][1].append(record)

    def in_order(self, place: Place, ids: list[str]) -> None:
        execution, held = self._ids.get(place.cell or place, ("", []))
        if execution == place.execution:
            held[:] = [*(one for one in held if one not in set(ids)), *ids]

    def drop(self, place: Place) -> None:
        if place.cell and self._ids.get(place.cell, (place.execution,))[0] != place.execution:
            del self._ids[place.cell]
            self._code.pop(place.cell, None)

    def named(self) -> dict[str, str]:
        """Return the cells of records, by record, where the front end told the notebook's ids."""
        told = [
            (cell, ids) for cell, (_, ids) in tuple(self._ids.items()) if cell not in self._code
        ]
        return {one: cell for cell, ids in told if isinstance(cell, str) for one in ids}

    def nameless(self) -> list[tuple[str, list[str]]]:
        """Return, of each cell whose id was not told, its source and what it shows."""
        return [(code, list(self._ids[cell][1])) for cell, code in tuple(self._code.items())]

    def ids(self) -> list[str]:
        return list(dict.fromkeys(one for _, ids in tuple(self._ids.values()) for one in ids))
