"""Keeping a working copy and its file in the cloud the same: in the background, at exit, when told.

One daemon thread a file does the work some seconds after a record was appended; several
kernels with one working copy take turns. What fails is said once and tried again, later each
time (where and how: `openai_magics.cloud.told`). At exit a last try is made, for some
seconds; what could not be brought to the cloud is said then, and brought there when the file
is opened next.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - registers its own end before ours is: see `_at_exit`
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from weakref import WeakSet

from openai_magics.cloud.address import Address
from openai_magics.cloud.pair import Pair
from openai_magics.cloud.storage import CloudError, Storage
from openai_magics.cloud.told import STANDING, aside, log
from openai_magics.errors import MagicsError

__all__ = ["Sync"]

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
        self.pair = Pair(address, storage or Storage(address))
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
            return f"{self.problem.problem} {self.kept}, tried again later (now: %dialogue sync)."
        if self.done is None:
            return f"no answer yet. {self.kept}" if self.waiting else "not looked at in this run"
        when = f"{self.done:%Y-%m-%d %H:%M:%S} UTC"
        return f"the same at {when}{', newer records are on their way' if self.waiting else ''}"

    @property
    def kept(self) -> str:
        """Where what is not in the cloud is."""
        return f"What is said is whole in {self.address.copy}"

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
                extra=STANDING,
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
                problem = self._unwritable(error)
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
                extra=STANDING,
            )

    def _succeeded(self) -> None:
        self.problem, self.done = None, datetime.now(timezone.utc)
        self._retry = FIRST_RETRY
        if self._told:
            self._told = False
            log.info("%s and its copy here are the same again.", self.address.shown)

    def begin_anew(self) -> Path | None:
        """Leave an empty dialogue on both sides; return where what they held is kept here.

        Both are first made the same. In the cloud a copy is written beside the file, under
        the name of the one here: ``<file>.before-reset-<UTC time>``.

        Returns
        -------
        Path or None
            ``None`` where nothing was recorded yet.

        Raises
        ------
        CloudError, DialogueError
            It failed; nothing is lost, and nothing was emptied.
        """
        with self._mutex:
            try:
                with self.pair.alone():
                    for _ in range(TRIES):
                        if not self.pair.same():
                            continue
                        if not self.address.copy.exists():
                            return None
                        if (kept := self.pair.emptied()) is not None:
                            self._succeeded()
                            return kept
            except OSError as error:
                raise self._unwritable(error) from error
        raise self._contested()

    def _unwritable(self, error: OSError) -> CloudError:
        return CloudError(
            f"The working copy {self.address.copy} cannot be written: {error}.",
            "See to its permissions, and to room on the disk.",
        )

    def _contested(self) -> CloudError:
        return CloudError(f"{self.address.shown} is changed by others all the time.", "Try later.")

    def _synchronise(self) -> None:
        with self.pair.alone():
            for _ in range(TRIES):
                if self.pair.same():
                    return
        raise self._contested()


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
    left = aside.taken()
    for sync in list(_running):
        sync.end(max(0.1, end - time.monotonic()))
        if sync.waiting and (aside.held_back or sync.problem is None):
            why = f"{sync.problem.problem} " if sync.problem else ""
            left.append(
                f"{why}What was said last is not in {sync.address.shown}, but in "
                f"{sync.address.copy}; opened again, it is brought there."
            )
    for line in left:
        sys.stderr.write(f"openai_magics: {line}\n")
