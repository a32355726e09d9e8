"""Changing what is kept: saving, editing, deleting, importing and exporting assistants.

In ``replay`` mode nothing is written: what is recorded of a step is all that is shown of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from openai_magics.assistants import imported, remote, roster
from openai_magics.assistants.assistant import Assistant
from openai_magics.assistants.reading import Reading, Step
from openai_magics.assistants.store import Store, of_that_name
from openai_magics.errors import OptionError, ServiceError
from openai_magics.exchange import Request
from openai_magics.turns import Asking

__all__ = ["RESERVED", "Desk"]

RESERVED = ("none", "use", "save", "show", "edit", "delete", "restore", "import", "export")
"""What a name cannot be: ``%assistant`` takes it for a command."""


class Desk(Reading):
    """The assistants of a session."""

    def save(self, name: str, given: Mapping[str, Any], *, user: bool = False) -> Step:
        """Keep a set-up under a name, in the place of one that has it.

        Parameters
        ----------
        name : str
        given : mapping
            The fields of the set-up; none: what is used now.
        user : bool
            In the user's file, not beside the notebook.

        Raises
        ------
        OptionError
            The name cannot be one, several have it, or there is nothing to keep.
        AssistantsError, ReplayMiss, DialogueError
            As `use`.
        """
        self._check_name(name)
        said = dict(given) or self._used_now(name)

        def look() -> Step:
            store = self._store(user=user)
            before = of_that_name(store.all(), name)
            made = Assistant(name=name, **_fields(said))
            if before is not None:
                made = replace(made, id=before.id, extra=before.extra)
            return self._put(store, made)

        return self._kept(self._step("save", name, {"fields": said, "user": user}, look))

    def edit(self, name: str, given: Mapping[str, Any], unset: Sequence[str] = ()) -> Step:
        """Change some fields of an assistant; a parameter that is ``None`` is taken out.

        Raises
        ------
        OptionError
            There is none of that name or id, several have the name, or nothing is to change.
        AssistantsError, ReplayMiss, DialogueError
            As `use`.
        """
        if not given and not unset:
            raise OptionError(
                "%assistant edit: what is to change?", "As in: %assistant edit tutor --model NAME"
            )
        if "name" in given:
            self._check_name(given["name"])

        def look() -> Step | None:
            found = roster.find(roster.stores(self.settings), name)
            if found is None:
                return None
            store, before = found
            changes = dict.fromkeys(unset) | _fields(given)
            if "parameters" in given:
                merged = {**before.parameters, **given["parameters"]}
                changes["parameters"] = {k: v for k, v in merged.items() if v is not None}
            return self._put(store, replace(before, **_emptied(changes)))

        said = {"fields": dict(given), "unset": list(unset)}
        return self._kept(self._step("edit", name, said, look))

    def delete(self, name: str) -> Step:
        """Take an assistant out of its file; `restore` brings it back. Raises as `edit`."""

        def look() -> Step | None:
            found = roster.find(roster.stores(self.settings), name)
            if found is None:
                return None
            store, assistant = found
            store.delete(assistant.id)
            said = f"Deleted {assistant.name!r} from {store.path.name}."
            return Step(assistant, (f"{said} To undo it: %assistant restore {assistant.name}",))

        step = self._step("delete", name, {}, look)
        if step.assistant and self.current and self.current.id == step.assistant.id:
            self.current = None
        return step

    def restore(self, name: str) -> Step:
        """Bring back what was last deleted or replaced under a name or an id. Raises as `edit`."""

        def look() -> Step | None:
            for store in roster.stores(self.settings):
                if (kept := store.deleted(name)) is not None:
                    return self._put(store, kept, "Restored")
            return None

        return self._kept(self._step("restore", name, {}, look))

    def take_over(self, source: str, *, name: str | None = None, user: bool = False) -> Step:
        """Import assistants: a file, an id that the server has (``asst_…``), or a prompt's id.

        Raises
        ------
        OptionError
            There is no such file, or no assistant in it; or *name* is for one of several.
        ServiceError
            The server does not give it.
        AssistantsError, ReplayMiss, DialogueError
            As `use`.
        """
        if name is not None:
            self._check_name(name)
        far = self._fetched(source) if source.startswith("asst_") else None

        def look() -> Step:
            if far is not None:
                read = imported.from_object(far)
            elif source.startswith("pmpt_"):
                identity, _, version = source.partition("@")
                read = imported.from_prompt(identity, name, version or None)
            else:
                read = imported.from_file(Path(source).expanduser())
            return self._imported(read, name, self._store(user=user))

        said = {"as": name, "user": user}
        return self._kept(self._step("import", source, said, look))

    def _imported(self, read: imported.Imported, name: str | None, store: Store) -> Step:
        assistants = list(read.assistants)
        if name is not None:
            if len(assistants) > 1:
                raise OptionError(
                    f"There are {len(assistants)} assistants in it, and --as names one.",
                    "Leave it out, and rename them with: %assistant edit ID --name NEW",
                )
            assistants = [replace(assistants[0], name=name)]
        made = [store.put(item) for item in assistants]
        names = [item.name for item in store.all()]
        notes = [f"Imported into {store.path.name}: {', '.join(item.name for item in made)}."]
        notes += read.notes
        for item in made:
            twins = [one.id for one in store.all() if one.name == item.name]
            if names.count(item.name) > 1:
                notes.append(f"{item.name!r} is the name of {' and '.join(twins)}: use the id.")
            if item.name in RESERVED:
                notes.append(f"{item.name!r} is a command too: %assistant use {item.name}")
        return Step(made[0] if len(made) == 1 else None, tuple(dict.fromkeys(notes)))

    def export(self, path: str, names: Sequence[str] = (), *, overwrite: bool = False) -> Step:
        """Write assistants (all of the notebook's, or some) to a file that can be imported.

        Raises
        ------
        OptionError
            The file is there already, or there is nothing to write.
        AssistantsError, ReplayMiss, DialogueError
            As `use`.
        """

        def look() -> Step:
            held = roster.stores(self.settings)
            target = Store(Path(path).expanduser())
            chosen = [self._named(held, name) for name in names] or held[0].all()
            if not chosen:
                raise OptionError(f"{held[0].path.name} has no assistants.", "Nothing was written.")
            if target.path.exists() and not overwrite:
                raise OptionError(f"{path} exists already.", "Give another name, or --overwrite.")
            target.path.unlink(missing_ok=True)
            target.change(lambda _: chosen)
            said = ", ".join(item.name for item in chosen)
            return Step(notes=(f"Written to {path}: {said}.",))

        return self._step("export", path, {"names": list(names), "overwrite": overwrite}, look)

    def _named(self, held: Sequence[Store], name: str) -> Assistant:
        if (found := roster.find(held, name)) is None:
            raise roster.unknown(held, name)
        return found[1]

    def _kept(self, step: Step) -> Step:
        """Where the assistant in use was changed, use it as it is now."""
        made = step.assistant
        if made and self.current and self.current.id == made.id:
            return self._in_use(step)
        return step

    def _put(self, store: Store, assistant: Assistant, said: str = "Saved") -> Step:
        """Write an assistant; say it."""
        for field, text in (("instructions", assistant.system), ("name", assistant.name)):
            if text and self.live.holds_key(text):
                raise OptionError(f"The {field} hold the API key.", "Nothing was written.")
        taken = assistant.with_texts(store.path.parent)
        made = replace(store.put(assistant), texts=taken.texts)
        where = store.path.name if store.where == "notebook" else "the user's assistants.json"
        return Step(made, (f"{said} {made.name!r} in {where}.",))

    def _store(self, *, user: bool) -> Store:
        beside, own = roster.stores(self.settings)
        return own if user else beside

    def _used_now(self, name: str) -> dict[str, Any]:
        """Return the fields of what is used now."""
        if self.current is not None:
            entry = self.current.to_entry()
            return {
                key: entry[key] for key in entry if key not in ("id", "name", *self.current.extra)
            }
        said = {"model": "model", "instructions": "system_instruction"}
        found = {field: self.settings.said(setting) for field, setting in said.items()}
        if not any(found.values()):
            raise OptionError(
                f"There is nothing to save as {name!r}: no instructions, no model.",
                "Write the instructions below %%assistant save NAME, or give --model and the like.",
            )
        return {field: value for field, value in found.items() if value}

    def _fetched(self, identity: str) -> Any:
        request = Request(
            kind="remote_assistant",
            endpoint=self.settings.said("base_url"),
            parameters={"assistant": identity},
        )
        try:
            return self.turns.run(Asking(request)).payload
        except ServiceError as error:
            raise remote.not_there(identity, error) from None

    @staticmethod
    def _check_name(name: str) -> None:
        if not name.strip() or not name.isprintable():
            raise OptionError("An assistant's name is a line of text.", "Give it another.")
        if name in RESERVED:
            raise OptionError(
                f"An assistant cannot be called {name!r}: %assistant takes it for a command.",
                "Give it another name.",
            )


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as an `Assistant` holds them, and check them.

    Raises
    ------
    OptionError
        A field is none, or of another type.
    """
    try:
        made = Assistant.from_entry({"name": "it", **given})
    except ValueError as error:
        raise OptionError(f"This is no set-up: {error}.", "See %assistant?") from error
    if made.extra:
        raise OptionError(f"An assistant has no {', '.join(made.extra)}.", "See %assistant?")
    return {name: getattr(made, name) for name in given}


def _emptied(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with what is unset as the empty value that its field has."""
    empty: dict[str, Any] = {"parameters": {}, "tools": (), "files": ()}
    return {k: empty.get(k) if v is None else v for k, v in changes.items()}
