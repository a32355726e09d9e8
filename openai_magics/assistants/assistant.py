r"""An assistant as a value: its set-up, the version of it, and what it adds to a request.

Version of an assistant
    ``hex(sha256(b"openai_magics/assistant/1\n" + canonical JSON))`` of the object with the
    keys ``model, system, parameters, tools, schema, api``, where ``system`` is the
    instructions with the texts of the files: what a request is made of. Name, id and
    description do not enter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from openai_magics.canonical import digest
from openai_magics.errors import OptionError
from openai_magics.wire.bodies import CHAT_TOOLS

__all__ = ["APIS", "SHORT", "Assistant"]

APIS = ("chat", "responses")
SHORT = 12
"""Characters of a version that are shown."""
LARGEST = 400_000
"""Characters of all files: some 100,000 tokens, what most models take at all."""
TEXTS = ("name", "id", "description", "model", "instructions", "api")
KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(TEXTS, (str, "text")),
    "parameters": (Mapping, "an object"),
    "tools": ((list, tuple), "a list of objects"),
    "schema": (Mapping, "an object"),
    "files": ((list, tuple), "a list of paths"),
}
"""A field → its type in Python, and what it is in JSON."""


@dataclass(frozen=True)
class Assistant:
    """A named set-up.

    Attributes
    ----------
    name, id : str
        Both are for people: the id tells two assistants of one name apart.
    description : str or None
    model : str or None
        ``None``: the one that the session asks.
    instructions : str or None
        The system instruction.
    parameters : dict
        Of the API (``temperature``, ``reasoning_effort``, …).
    tools : tuple of dict
        In the shape of the chat completions API, or built-in ones of the Responses API.
    schema : dict or None
        The ``json_schema`` of the answers: ``{"name", "schema", "strict"}``.
    files : tuple of str
        Paths of text files, from the folder of the file of assistants on; their texts are
        sent with the instructions.
    api : {"chat", "responses"} or None
        Which protocol is spoken; ``None``: the one that the session speaks.
    texts : dict or None
        The texts of the files by their path, as they were when the assistant was taken.
    extra : dict
        Other fields of its entry, which are kept as they are.
    """

    name: str
    id: str = ""
    description: str | None = None
    model: str | None = None
    instructions: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    files: tuple[str, ...] = ()
    api: str | None = None
    texts: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def system(self) -> str | None:
        """The system instruction: the instructions, then each file under its name."""
        parts = [self.instructions] if self.instructions else []
        parts += [f"The file {name}:\n\n{text}" for name, text in (self.texts or {}).items()]
        return "\n\n".join(parts) if parts else None

    def tools_for(self, api: str | None) -> tuple[Mapping[str, Any], ...]:
        """Return the tools that a protocol has: chat completions have no built-in ones."""
        if api == "responses":
            return self.tools
        return tuple(tool for tool in self.tools if tool.get("type") in CHAT_TOOLS)

    @cached_property
    def version(self) -> str:
        """The hash of the set-up, in hex (see the module's docstring)."""
        said = {
            "model": self.model,
            "system": self.system,
            "parameters": self.parameters,
            "tools": list(self.tools),
            "schema": self.schema,
            "api": self.api,
        }
        return digest("openai_magics/assistant/1", said)

    @property
    def identity(self) -> dict[str, str]:
        """What a record says of the assistant that answered."""
        return {"name": self.name, "id": self.id, "version": self.version}

    def to_entry(self) -> dict[str, Any]:
        """Return its entry in the file of assistants: what is set, then what is not ours."""
        entry: dict[str, Any] = {"id": self.id, "name": self.name}
        for name in FIELDS[2:]:
            value = getattr(self, name)
            if value:
                entry[name] = list(value) if isinstance(value, tuple) else value
        return {**entry, **self.extra}

    def to_payload(self) -> dict[str, Any]:
        """Return the set-up as it is recorded where the assistant is taken."""
        return {"assistant": self.to_entry(), "texts": self.texts or {}, "version": self.version}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Assistant:
        """Return the assistant of a record."""
        return replace(cls.from_entry(payload["assistant"]), texts=payload.get("texts") or {})

    @classmethod
    def from_entry(cls, entry: Any) -> Assistant:
        """Return the assistant of an entry.

        Raises
        ------
        ValueError
            A field is of another type than it should be; the text says which.
        """
        if not isinstance(entry, Mapping):
            raise ValueError("an assistant is an object with a name")  # noqa: TRY004
        values = {name: entry[name] for name in FIELDS if entry.get(name) is not None}
        if not isinstance(values.get("name"), str) or not values["name"].strip():
            raise ValueError("this assistant has no name")
        for name, value in values.items():
            kind, called = KINDS[name]
            if not isinstance(value, kind):
                raise ValueError(f"{name!r} of the assistant {values['name']!r} is not {called}")  # noqa: TRY004
            within = {"tools": Mapping, "files": str}.get(name)
            if within and not all(isinstance(item, within) for item in values[name]):
                raise ValueError(f"{name!r} of the assistant {values['name']!r} is not {called}")
            if isinstance(value, list):
                values[name] = tuple(value)
        if values.get("api", "chat") not in APIS:
            raise ValueError(f"'api' of the assistant {values['name']!r} is chat or responses")
        extra = {name: value for name, value in entry.items() if name not in FIELDS}
        return cls(**values, extra=extra)

    def with_texts(self, folder: Path) -> Assistant:
        """Return the assistant with the texts of its files, which stand in *folder*.

        Raises
        ------
        OptionError
            A file cannot be read, is no text, or all are too long for an instruction.
        """
        texts: dict[str, str] = {}
        for name in self.files:
            try:
                texts[name] = (folder / Path(name).expanduser()).read_bytes().decode("utf-8-sig")
            except OSError as error:
                raise OptionError(
                    f"The file {name} of the assistant {self.name!r} cannot be read: "
                    f"{error.strerror or error}.",
                    f"Put it into {folder}, or take it out: %assistant edit {self.name} --unset files",
                ) from error
            except UnicodeDecodeError as error:
                raise OptionError(
                    f"The file {name} of the assistant {self.name!r} is not text.",
                    "An assistant's files are texts (UTF-8). Save the document as text first.",
                ) from error
        if (size := sum(map(len, texts.values()))) > LARGEST:
            raise OptionError(
                f"The files of the assistant {self.name!r} hold {size:,} characters, and all of "
                f"them are sent with each request: at most {LARGEST:,}.",
                "Give it fewer or shorter files.",
            )
        return replace(self, texts=texts)


FIELDS = tuple(item.name for item in fields(Assistant))[:-2]
"""The fields of an entry that are ours, id after name."""
