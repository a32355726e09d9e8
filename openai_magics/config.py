"""Settings, with one stated order of precedence.

1. an option on the line of a magic, or an argument of a method
2. an argument of `Session`, or ``%config OpenAIMagics.x = …`` in a cell
3. the environment: ``OPENAI_BASE_URL`` and ``OPENAI_MAGICS_<NAME>``
4. ``[tool.openai_magics]`` in the nearest ``pyproject.toml``
5. the user's configuration: IPython's profile, then ``config.toml`` in the user's folder
6. the default

What 1 and 2 set is what the *notebook* says, and enters fingerprints; the rest is where it
runs. One exception: a ``mode`` of ``replay`` in the environment holds against the notebook,
so that whoever verifies a notebook can be sure that nothing is asked.

Keys are not settings: see `openai_magics.keys`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from openai_magics.errors import SettingError, nearest

__all__ = ["MODES", "SETTINGS", "Setting", "Settings", "user_file"]

MODES = ("auto", "live", "replay")
APIS = ("chat", "responses")
FORMATS = ("markdown", "text", "json", "code", "table", "sections")
PREFIX = "OPENAI_MAGICS_"
ACCOUNT = re.compile(r"\s*[a-z][a-z0-9+.-]*:/*[^/?#]*@", re.IGNORECASE)
"""A name, perhaps a password, before the host of an address."""
ELSEWHERE = {
    PREFIX + "CACHE": "the folder of the embedded engine's weights",
    PREFIX + "DATA": "the folder of training jobs and tuned models",
    PREFIX + "LOCAL_MODEL": "the model of the embedded engine",
    PREFIX + "LOCAL_MMPROJ": "the projector with which that model sees images",
}
"""Variables with our prefix that other rooms read."""


@dataclass(frozen=True)
class Setting:
    """A setting: how its text is read, its default, and what it is for."""

    name: str
    parse: Callable[[Any], Any]
    default: Any
    purpose: str
    variable: str = ""
    choices: tuple[str, ...] = ()

    @cached_property
    def environment(self) -> str:
        """The environment variable that sets it."""
        return self.variable or PREFIX + self.name.upper()


def _text(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError("text is needed")
    return os.fspath(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in known:
        raise ValueError("true or false is needed")
    return known[str(value).lower()]


def _count(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 0:
        raise ValueError("a whole number from 0 is needed")
    return int(value)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise ValueError("a positive number of seconds is needed")
    return float(value)


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("model", _text, None, "the model to ask; `local` is the embedded engine"),
        Setting(
            "base_url",
            _text,
            None,
            "the endpoint: any server that speaks the OpenAI protocol",
            variable="OPENAI_BASE_URL",
        ),
        Setting(
            "api",
            _text,
            "chat",
            "the protocol: chat completions, which every server has, or the Responses API",
            choices=APIS,
        ),
        Setting("mode", _text, "auto", "auto, live or replay", choices=MODES),
        Setting("system_instruction", _text, None, "the system instruction of every ask"),
        Setting("format", _text, "markdown", "how answers are shown", choices=FORMATS),
        Setting("max_history", _count, None, "how many turns of history are sent at most"),
        Setting("notebook", _text, None, "the notebook's path, where it cannot be told"),
        Setting(
            "dialogue", _text, None, "the dialogue file: a path, or an address (gs://, s3://, …)"
        ),
        Setting(
            "sentiment",
            _text,
            "lexicon",
            "who judges the sentiment of answers",
            choices=("lexicon", "model", "off"),
        ),
        Setting("stream", _flag, default=True, purpose="whether answers are shown as they come"),
        Setting("fsync", _flag, default=True, purpose="whether every record is forced to the disk"),
        Setting(
            "log_prompts",
            _flag,
            default=False,
            purpose="whether prompts and answers may stand in the log (DEBUG)",
        ),
        Setting("retries", _count, 4, "how often a failure of the moment is tried again"),
        Setting("max_rounds", _count, 8, "how often a model may have tools called in one ask"),
        Setting("tool_timeout", _seconds, 60.0, "seconds that a call of a tool may take"),
        Setting("timeout", _seconds, 600.0, "seconds without a sign of the server"),
    )
}


def user_file() -> Path:
    """Return the path of the user's configuration file (which need not exist)."""
    import platformdirs

    return Path(platformdirs.user_config_dir("openai_magics", appauthor=False), "config.toml")


NOTEBOOK: dict[str, Any] = {}
"""What ``%config OpenAIMagics.x = …`` set in this notebook, for all its sessions."""
PROFILE: dict[str, Any] = {}
"""What the user's IPython profile sets."""


@dataclass
class Settings:
    """The layers of settings; `get` resolves a name, `said` only what the notebook set."""

    arguments: MutableMapping[str, Any] = field(default_factory=dict)
    notebook: MutableMapping[str, Any] = field(default_factory=lambda: NOTEBOOK)
    profile: MutableMapping[str, Any] = field(default_factory=lambda: PROFILE)
    _files: list[tuple[str, Mapping[str, Any]]] | None = field(default=None, repr=False)

    def check(self, name: str, value: Any, source: str, *, recorded: bool = True) -> Any:
        """Return *value* as the setting *name* takes it.

        What the notebook says is *recorded*, so that an address must not hold a password.

        Raises
        ------
        SettingError
            There is no such setting, or it does not take that value.
        """
        setting = SETTINGS.get(name)
        if setting is None:
            raise SettingError(
                f"{source}: there is no setting {name!r}{nearest(name, SETTINGS)}.",
                f"Settings: {', '.join(SETTINGS)}.",
            )
        if value is None:
            return None
        try:
            value = setting.parse(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingError(
                f"{source}: {name} = {value!r} is not possible ({error}).",
                f"It is {setting.purpose}.",
            ) from error
        if setting.choices and value not in setting.choices:
            raise SettingError(
                f"{source}: {name} = {value!r} is not possible{nearest(value, setting.choices)}.",
                f"It is one of: {', '.join(setting.choices)}.",
            )
        if recorded and name == "base_url" and ACCOUNT.match(value):
            raise SettingError(
                f"{source}: the base_url holds a user's name or password, which would be recorded.",
                "Set it in the environment (OPENAI_BASE_URL), which is not.",
            )
        return value

    def said(self, name: str) -> Any:
        """Return what the notebook set, or ``None``."""
        value = self.arguments.get(name)
        return value if value is not None else self.notebook.get(name)

    def get(self, name: str, option: Any = None) -> Any:
        """Return the value of a setting; *option* is what was typed for this call."""
        return self.resolve(name, option)[0]

    def resolve(self, name: str, option: Any = None) -> tuple[Any, str]:
        """Return ``(value, where it was set)``.

        Raises
        ------
        SettingError
            Where it was set, it was set to something impossible.
        """
        setting = SETTINGS[name]
        if name == "mode" and os.environ.get(setting.environment) == "replay":
            return "replay", f"the environment ({setting.environment})"
        if option is not None:
            return self.check(name, option, "the option", recorded=False), "the option"
        if (value := self.arguments.get(name)) is not None:
            return self.check(name, value, "Session"), "Session"
        if (value := self.notebook.get(name)) is not None:
            source = f"%config OpenAIMagics.{name}"
            return self.check(name, value, source), source
        if value := os.environ.get(setting.environment):
            source = f"the environment ({setting.environment})"
            return self.check(name, value, source, recorded=False), source
        for source, values in self._from_files():
            if values.get(name) is not None:
                return self.check(name, values[name], source, recorded=False), source
        return setting.default, "default"

    def _from_files(self) -> list[tuple[str, Mapping[str, Any]]]:
        if self._files is None:
            self._check_environment()
            layers: list[tuple[str, Mapping[str, Any]]] = []
            if (project := _nearest_pyproject()) is not None:
                tool = _read_toml(project).get("tool")
                table = tool.get("openai_magics", {}) if isinstance(tool, dict) else {}
                layers.append((f"{project} [tool.openai_magics]", table))
            layers.append(("IPython's profile", self.profile))
            if (user := user_file()).is_file():
                layers.append((str(user), _read_toml(user)))
            for source, values in layers:
                if not isinstance(values, Mapping):
                    raise SettingError(
                        f"{source} is not a table.", "Give it as NAME = VALUE lines."
                    )
                for name, value in values.items():
                    self.check(name, value, source, recorded=False)
            self._files = layers
        return self._files

    @staticmethod
    def _check_environment() -> None:
        known = {setting.environment for setting in SETTINGS.values()} | set(ELSEWHERE)
        for name in os.environ:
            if name.startswith(PREFIX) and name not in known:
                raise SettingError(
                    f"The environment sets {name}, which is no setting{nearest(name, known)}.",
                    f"Settings: {', '.join(sorted(known))}.",
                )


def _nearest_pyproject() -> Path | None:
    here = Path.cwd()
    return next(
        (
            folder / "pyproject.toml"
            for folder in (here, *here.parents)
            if (folder / "pyproject.toml").is_file()
        ),
        None,
    )


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} cannot be read: {error}.", "Mend or remove it.") from error
    return values
