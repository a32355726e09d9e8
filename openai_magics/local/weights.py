"""Where the model's weights are, and how they get there.

1. ``OPENAI_MAGICS_LOCAL_MODEL``: a GGUF file on this machine, or one on Hugging Face as
   ``owner/repo/file.gguf`` or ``owner/repo:file.gguf`` (kept in Hugging Face's own cache)
2. SmolLM2-135M-Instruct (Apache-2.0) in the user's cache folder, or in the folder that
   ``OPENAI_MAGICS_CACHE`` names; fetched at first use (`openai_magics.local.fetch`)

A model that sees needs a second file, its projector: ``OPENAI_MAGICS_LOCAL_MMPROJ``, named in
the same two ways.

Nothing is fetched by an import.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from openai_magics.errors import EngineError, ExtraMissing

__all__ = [
    "GGUF_SHA256",
    "MODEL",
    "Progress",
    "cache_folder",
    "chosen",
    "description",
    "ensure",
    "here",
    "mmproj",
    "sees",
    "wanted",
]

MODEL = "SmolLM2-135M-Instruct"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
VARIABLE = "OPENAI_MAGICS_LOCAL_MODEL"
MMPROJ_VARIABLE = "OPENAI_MAGICS_LOCAL_MMPROJ"
CACHE_VARIABLE = "OPENAI_MAGICS_CACHE"
MAGIC = b"GGUF"
ON_HUB = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)[/:](?P<file>[^:\\]+\.gguf)", re.ASCII)
OTHER_CACHE = f"Name a folder that can be written: {CACHE_VARIABLE}=/some/folder."

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is going on (a few words), and how many bytes of how many are done."""


def cache_folder() -> Path:
    """Return the folder of weights and logs (which need not exist)."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("openai_magics", appauthor=False))


def chosen() -> str:
    """Return the model that the environment names, as it names it; ``""`` for ours."""
    return os.environ.get(VARIABLE, "").strip()


def sees() -> bool:
    """Tell whether the environment names a projector, with which the model sees images."""
    return bool(os.environ.get(MMPROJ_VARIABLE, "").strip())


def mmproj() -> Path | None:
    """Return the projector that the environment names; ``None`` where it names none.

    Raises
    ------
    EngineError, ExtraMissing
        As `ensure`.
    """
    wanted = os.environ.get(MMPROJ_VARIABLE, "").strip()
    return _other(wanted, MMPROJ_VARIABLE, "projector") if wanted else None


def name_of(path: Path) -> str:
    """Return the model's name for people and records, without any folder of this machine."""
    return MODEL if path.name == GGUF else path.stem


def wanted() -> str:
    """Return the name of the model that would be started now."""
    return re.split(r"[/:\\]", chosen())[-1].removesuffix(".gguf") or MODEL


def description(model: str | None = None) -> str:
    """Return who answers, in a few words for people.

    Parameters
    ----------
    model : str or None
        An engine's ``model``; ``None`` for the one that would be started now.
    """
    if model is None:
        model = wanted()
    return f"{model}, a {'small ' if model == MODEL else ''}model on this machine"


def ensure(on_progress: Progress | None = None, model: str | None = None) -> Path:
    """Return the path of the weights, fetching them if they are not here yet.

    Parameters
    ----------
    on_progress : callable or None
        Called with a label, bytes done and bytes in all while something is fetched.
    model : str or None
        A GGUF's path or its name on Hugging Face, in place of what the environment names.

    Raises
    ------
    EngineError
        They cannot be had (offline, a full disk, an altered file), or are no GGUF.
    ExtraMissing
        A name on Hugging Face was given, and ``huggingface_hub`` is not installed.
    """
    wanted = chosen() if model is None else model
    return _other(wanted) if wanted else _ours(on_progress)


def here(model: str | None = None) -> Path | None:
    """Return the path of the weights where they are on this machine; nothing is fetched.

    Parameters
    ----------
    model : str or None
        A GGUF's path, in place of what the environment names.
    """
    wanted = chosen() if model is None else model
    path = Path(wanted).expanduser() if wanted else cache_folder() / "models" / GGUF
    return path.absolute() if path.is_file() else None


def _other(wanted: str, variable: str = VARIABLE, what: str = "model") -> Path:
    path = Path(wanted).expanduser()
    if path.exists():
        return _checked_gguf(path.absolute(), wanted, variable, what)
    on_hub = ON_HUB.fullmatch(wanted)
    if on_hub is None:
        without = f"without it {MODEL} is used" if variable == VARIABLE else "without it none sees"
        raise EngineError(
            f"The engine's {what} {wanted!r} is not there.",
            f"{variable} takes the path of a GGUF file, or owner/repo/file.gguf on Hugging Face; "
            f"{without}.",
        )
    return _checked_gguf(
        _from_hub(on_hub["repo"], on_hub["file"], variable), wanted, variable, what
    )


def _checked_gguf(path: Path, wanted: str, variable: str, what: str) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise EngineError(
            f"The engine's {what} {wanted!r} cannot be read: {error.strerror or error}.",
            f"{variable} takes the path of a GGUF file.",
        ) from None
    if magic != MAGIC:
        raise EngineError(
            f"The engine's {what} {wanted!r} is not a GGUF file (it does not begin with GGUF).",
            "Look on Hugging Face for a GGUF version of the model; other formats do not load.",
        )
    return path


def _from_hub(repo: str, file: str, variable: str) -> Path:
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ExtraMissing("A model from Hugging Face", "hub", str(error)) from None
    # What is here already is used as it is: a file that changes upstream overnight would
    # change the answers.
    kept = hub.try_to_load_from_cache(repo, file)
    if isinstance(kept, str):
        return Path(kept)
    try:
        return Path(hub.hf_hub_download(repo, file))
    except Exception as error:  # noqa: BLE001 - HTTP, OS and value errors: no common base
        what = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(
            f"{file} of {repo} could not be fetched from Hugging Face: {what}",
            f"Check the name and the network, or give the path of a GGUF file: {variable}=….",
        ) from None


def _ours(on_progress: Progress | None) -> Path:
    folder = cache_folder() / "models"
    path = folder / GGUF
    from openai_magics.local import fetch

    on_progress = on_progress and _rising(on_progress)
    try:
        if _intact(path):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, lambda: fetch.tell(folder, on_progress)):
            if not _intact(path):  # another kernel may have fetched it meanwhile
                fetch.fetch(path, GGUF_SHA256, on_progress)
                _remember(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise fetch.no_room(folder) from None
        raise EngineError(
            f"The cache folder {folder} cannot be used: {error.strerror or error}.", OTHER_CACHE
        ) from None
    return path


def _rising(on_progress: Progress) -> Progress:
    """Pass on only what is more than before: a file on its way is now here, now there."""
    most: dict[str, int] = {}

    def told(label: str, done: int, total: int) -> None:
        if done > most.get(label, -1):
            most[label] = done
            on_progress(label, done, total)

    return told


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _intact(path: Path) -> bool:
    """Tell whether the file is what was published; read whole only if it may have changed."""
    try:
        stamp = _stamp(path)
    except FileNotFoundError:
        return False
    with suppress(OSError, ValueError):
        if json.loads(_note(path).read_text("utf-8")) == [GGUF_SHA256, *stamp]:
            return True
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != GGUF_SHA256:
        return False
    _remember(path)
    return True


def _remember(path: Path) -> None:
    # A cache that several users share may be read-only: then each start reads the file whole.
    with suppress(OSError):
        _note(path).write_text(json.dumps([GGUF_SHA256, *_stamp(path)]), "utf-8")


@contextmanager
def _alone(folder: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock against other kernels that fetch at the same moment."""
    import portalocker

    # Never unlinked: who waits on a file that is unlinked would hold a lock nobody sees.
    with (folder / "fetch.lock").open("a") as file:
        while True:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                break
            except portalocker.AlreadyLocked:
                while_waiting()
                time.sleep(0.2)
            except portalocker.LockException as error:
                raise OSError(errno.ENOLCK, f"it cannot be locked ({error})") from None
        try:
            yield
        finally:
            portalocker.unlock(file)
