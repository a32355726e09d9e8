"""Keeping a working copy and its file in the cloud the same: in the background, at exit, when told.

One daemon thread a file does the work some seconds after a record was appended; several
kernels with one working copy take turns. What fails is said once and tried again, later each
time. At exit a last try is made, for some seconds; what could not be brought to the cloud is
brought there when the file is opened next.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - registers its own end before ours is: see `_at_exit`
import json
import logging
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from weakref import WeakSet

from openai_magics.cloud.address import Address
from openai_magics.cloud.storage import Changed, CloudError, Storage
from openai_magics.cloud.uniting import United, unite
from openai_magics.disk import locked
from openai_magics.errors import DialogueError, MagicsError
from openai_magics.repair import write_beside

__all__ = ["Sync"]

log = logging.getLogger("openai_magics")

DELAY = 2.0
"""Seconds from a record to the cloud, so that several go together."""
SHARE = 4.0
"""Times as long as the last synchronisation took is waited before the next one."""
PATIENCE = 15.0
"""Seconds that opening waits for the cloud."""
AT_EXIT = 10.0
"""Seconds that the end of the process waits for it."""
FIRST_RETRY, LONGEST_RETRY = 15.0, 600.0
TRIES = 8
"""Times that others may come first in one synchronisation."""


class Sync:
    """One working copy and its file in the cloud.

    Attributes
    ----------
    problem : MagicsError or None
        Why the last try failed.
    done : datetime or None
        When both were last the same, as far as this process knows.
    waiting : bool
        Whether something here is not in the cloud yet.
    """

    def __init__(self, address: Address, storage: Storage | None = None) -> None:
        self.address = address
        self.storage = storage or Storage(address)
        self.problem: MagicsError | None = None
        self.done: datetime | None = None
        self.waiting = False
        self._due: float | None = None
        self._retry = FIRST_RETRY
        self._took = 0.0
        self._told = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._woken = threading.Condition()
        self._idle = threading.Event()
        self._idle.set()
        self._mutex = threading.Lock()

    @property
    def state(self) -> str:
        """What is to be said of it, in a line."""
        if self.problem is not None:
            return f"{self.problem.problem} The copy on this machine is whole; tried again later."
        if self.done is None:
            return "not looked at in this run"
        when = f"{self.done:%Y-%m-%d %H:%M:%S} UTC"
        return f"the same at {when}{', newer records are on their way' if self.waiting else ''}"

    def soon(self) -> None:
        """Synchronise in some seconds; called after each record."""
        self._wake(max(DELAY, SHARE * self._took))

    def begin(self, patience: float = PATIENCE) -> None:
        """Synchronise now, in the background; wait for it for some seconds."""
        self._wake(0.0)
        if not self._idle.wait(patience) and not self._told:
            self._told = True
            log.warning(
                "%s did not answer within %.0f s. What is said is kept in %s and brought there later.",
                self.address.shown,
                patience,
                self.address.copy,
            )

    def now(self) -> None:
        """Synchronise, and return when it is done.

        Raises
        ------
        CloudError, DialogueError
            It failed; the working copy is whole.
        """
        with self._mutex:
            begun = time.monotonic()
            try:
                self._synchronise()
            except OSError as error:
                problem = CloudError(
                    f"The working copy {self.address.copy} cannot be written: {error}.",
                    "See to its permissions, and to room on the disk.",
                )
                self._failed(problem)
                raise problem from error
            except MagicsError as problem:
                self._failed(problem)
                raise
            self._took = time.monotonic() - begun
            self._succeeded()

    def end(self, patience: float = AT_EXIT) -> None:
        """Bring what is not in the cloud yet there, for some seconds at most, and stop."""
        with self._woken:
            thread, busy = self._thread, self.waiting or self._due is not None
        if thread is not None and busy:
            self._wake(0.0)
            self._idle.wait(patience)
        with self._woken:
            self._ended = True
            self._woken.notify_all()

    def _wake(self, seconds: float) -> None:
        with self._woken:
            if self._ended:
                return
            self.waiting = True
            due = time.monotonic() + seconds
            failing = self.problem is not None and self._due is not None and seconds > 0
            if not failing:  # what fails is not tried more often for what is said meanwhile
                self._due = due if self._due is None else min(due, self._due)
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="openai_magics-cloud", daemon=True
                )
                self._thread.start()
                _running.add(self)
                _at_exit()
            self._woken.notify_all()

    def _work(self) -> None:
        while True:
            with self._woken:
                while not self._ended and (self._due is None or self._due > time.monotonic()):
                    left = None if self._due is None else self._due - time.monotonic()
                    self._woken.wait(left)
                if self._ended:
                    return
                self._due, self.waiting = None, False
            with suppress(MagicsError):  # which `now` has kept and said
                self.now()
            with self._woken:
                if self.problem is not None:
                    self.waiting = True
                    if self._due is None:
                        self._due = time.monotonic() + self._retry
                        self._retry = min(2 * self._retry, LONGEST_RETRY)
                    self._idle.set()
                elif self._due is None:
                    self._idle.set()

    def _failed(self, problem: MagicsError) -> None:
        self.problem = problem
        if not self._told:
            self._told = True
            log.warning(
                "%s What is said is kept in %s and brought there later (%%dialogue sync tries now).",
                str(problem).replace("\n", " "),
                self.address.copy,
            )

    def _succeeded(self) -> None:
        self.problem, self.done = None, datetime.now(timezone.utc)
        self._retry = FIRST_RETRY
        if self._told:
            self._told = False
            log.info("%s and its copy here are the same again.", self.address.shown)

    def _synchronise(self) -> None:
        folder = self.address.folder
        folder.mkdir(parents=True, exist_ok=True)
        with (
            (folder / "sync.lock").open("a+b") as held,
            locked(held, self.address.copy, exclusive=True),
        ):
            for _ in range(TRIES):
                if self._same():
                    return
        raise CloudError(f"{self.address.shown} is changed by others all the time.", "Try later.")

    def _same(self) -> bool:
        """Make both sides the same; return whether nobody else came in between."""
        base = _read(self.address.base)
        known = self._known() if base is not None else None
        theirs, token = self.storage.read(known)
        if theirs is None and token is not None:
            theirs = base
        try:
            united = unite(self.address.copy, theirs, base)
        except DialogueError as error:
            raise CloudError(
                f"{self.address.shown} and its copy here are not united: {error.problem}",
                "Neither was changed. Mend the one that is damaged: python -m openai_magics repair",
            ) from error
        if not united.data:
            return True
        if united.data != theirs:
            try:
                token = self.storage.write(united.data, token)
            except Changed:
                return False
            if not self.storage.conditional:
                stands, token = self.storage.read()
                if stands != united.data:
                    return False
        self._keep(united.data, token)
        self._tell(united)
        return True

    def _tell(self, united: United) -> None:
        merged = united.merged
        if merged is not None and merged.contested:
            log.warning("%s was changed by others too: %s.", self.address.shown, merged)
        elif merged is not None:
            log.info("%s was changed by others too: %s.", self.address.shown, merged)

    def _keep(self, data: bytes, token: str | None) -> None:
        """Keep what both sides hold now, then the token of that state."""
        if _read(self.address.base) != data:
            self.address.base.touch()
            write_beside(self.address.base, [data]).replace(self.address.base)
        text = json.dumps({"address": self.address.shown, "token": token})
        self._token_file.write_text(text, "utf-8")

    def _known(self) -> str | None:
        try:
            token = json.loads(self._token_file.read_text("utf-8")).get("token")
        except (OSError, ValueError, AttributeError):
            return None
        return token if isinstance(token, str) else None

    @property
    def _token_file(self) -> Path:
        return self.address.folder / "synced.json"


_running: WeakSet[Sync] = WeakSet()
_registered = False


def _at_exit() -> None:
    """Have what is not in the cloud yet brought there at the end of the process.

    The event loops of fsspec need their executors, which `threading` ends before `atexit` has
    its turn: what was registered last there is called first.
    """
    global _registered  # noqa: PLW0603 - once a process
    if _registered:
        return
    _registered = True
    register = getattr(threading, "_register_atexit", None)
    if register is None:
        import atexit

        register = atexit.register
    register(_end_all)


def _end_all() -> None:
    end = time.monotonic() + AT_EXIT
    for sync in list(_running):
        sync.end(max(0.1, end - time.monotonic()))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
