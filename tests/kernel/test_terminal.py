"""Terminal IPython, driven through a pseudo-terminal, and IPython without one."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.kernel.kernels import PATIENCE, environment, records
from tests.scripted import ScriptedServer, answer, error
from tests.scripted.fixtures import serving

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")

IPYTHON = [sys.executable, "-m", "IPython", "--no-banner", "--no-confirm-exit"]
PLAIN = ["--simple-prompt", "--colors=nocolor"]
LOAD = "%load_ext openai_magics"


class Terminal:
    """IPython in a terminal: what is typed goes in, what the screen gets comes out."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.screen, other = pty.openpty()
        self.process = subprocess.Popen(
            [*IPYTHON, *PLAIN],
            cwd=folder,
            env={**env, "TERM": "xterm", "COLUMNS": "200"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(other)
        self.file = folder / "notebook.dialogue.json"
        self.prompts, self.seen = 0, b""
        self.until_prompt()

    def until(self, pattern: str) -> str:
        """Return what the screen gets up to the end of a pattern."""
        end = time.monotonic() + PATIENCE
        while not (match := re.search(pattern, self.seen.decode("utf-8", "replace"))):
            assert time.monotonic() < end, (pattern, self.seen)
            if select.select([self.screen], [], [], 1)[0]:
                self.seen += os.read(self.screen, 65536)
        self.seen = match.string[match.end() :].encode()
        return match.string[: match.end()]

    def until_prompt(self) -> str:
        """Return what the screen gets before the next prompt."""
        self.prompts += 1
        prompt = f"In [{self.prompts}]: "
        return self.until(re.escape(prompt)).removesuffix(prompt)

    def type(self, line: str) -> None:
        """Type a line and Enter; take what the terminal echoes."""
        os.write(self.screen, line.encode() + b"\n")
        self.until(re.escape(line) + "\r\n")

    def run(self, line: str) -> str:
        """Type a line and return what is on the screen before the next prompt."""
        self.type(line)
        return self.until_prompt().replace("\r\n", "\n").strip()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.screen)


def _take_terminal() -> None:
    """Make the terminal that of the new session, so that Ctrl-C in it is a signal.

    What runs the tests may ignore that a terminal is closed (nohup): here it is heeded.
    """
    import fcntl
    import termios

    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """Give one server for all."""
    with serving() as server:
        yield server


@contextlib.contextmanager
def opened(folder: Path, server: ScriptedServer) -> Iterator[Terminal]:
    """Yield a terminal with the extension loaded, which asks the server."""
    terminal = Terminal(folder, environment(folder, server.base_url))
    try:
        assert terminal.run(LOAD) == ""
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def terminal(
    tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer
) -> Iterator[Terminal]:
    """Return a terminal that the tests share; each asks what no other asks."""
    with opened(tmp_path_factory.mktemp("terminal"), scripted) as terminal:
        yield terminal


def test_answer(terminal: Terminal) -> None:
    """``%ask`` prints the text of the answer, once, streamed or not."""
    assert terminal.run("%ask --new Hello") == "You said: Hello. (turn 1, messages 1)"
    assert terminal.run("%ask --new Hello") == "You said: Hello. (turn 1, messages 1)"
    assert terminal.run("%ask And you?") == "You said: And you?. (turn 2, messages 3)"
    assert terminal.run("%ask --no-stream --no-history Hi") == "You said: Hi. (turn 1, messages 1)"
    assert terminal.run("%ask -q --no-history Ho") == ""
    assert terminal.run("print(_answer.text)") == "You said: Ho. (turn 1, messages 1)"
    assert [each["occurrence"] for each in records(terminal.file)[-5:]] == [0, 1, 0, 0, 0]


def test_streams(terminal: Terminal, scripted: ScriptedServer) -> None:
    """The text is on the screen as it comes."""
    hold = threading.Event()
    scripted.script.then(answer("one two three", hold=hold, hold_after=2))
    terminal.type("%ask --no-history Count")
    terminal.until("one ")
    hold.set()
    assert terminal.until_prompt().strip() == "two three"


OBEYED = {"\x1b", "\x07", "\x08", "\x9b", "\r"}
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x9b31m\x08\r over"


def test_escapes(terminal: Terminal, scripted: ScriptedServer) -> None:
    """A terminal obeys no escape of an answer: control characters are shown as pictures."""
    for option in ("", "--no-stream ", "-f text ", "-f code "):
        scripted.script.then(answer(ESCAPES))
        said = terminal.run(f"%ask --no-history {option}Odd characters")
        assert not set(said) & OBEYED, said
        assert "\u241b[31mred" in said


def test_escapes_in_an_error(terminal: Terminal, scripted: ScriptedServer) -> None:
    """Nor does it obey what a server says in an error."""
    scripted.script.then(error(400, "bad_value", f"Look: {ESCAPES}"))
    said = terminal.run("%ask --no-history Is this wrong?")
    assert "Look: " in said
    assert not set(said) & OBEYED, said


def test_errors(terminal: Terminal, scripted: ScriptedServer) -> None:
    """An error is a line, or two: what is wrong, what to do; no traceback."""
    scripted.script.then(error(401, "invalid_api_key", "Incorrect API key provided."))
    for line, says in (
        ("%ask --no-history A key, please", "KeyRefused: "),
        ("%ask --nope Hi", "OptionError: %ask has no option '--nope'"),
        ("%ask -t hot Hi", "OptionError: %ask: argument -t"),
        ("%ask --mode replay Never asked", "ReplayMiss: "),
        ("%config OpenAIMagics.x = 1", "SettingError: "),
        ("%openai usee", "OptionError: "),
    ):
        lines = terminal.run(line).splitlines()
        assert lines[0].startswith(says), lines
        assert 1 <= len(lines) <= 2 or says.startswith("ReplayMiss"), lines


def test_stopped(terminal: Terminal, scripted: ScriptedServer) -> None:
    """Ctrl-C leaves what came on the screen, says so in a line, and gives the prompt back."""
    hold = threading.Event()
    scripted.script.then(answer("one two three", hold=hold, hold_after=2))
    terminal.type("%ask --no-history Count")
    terminal.until("one ")
    os.write(terminal.screen, b"\x03")
    said = terminal.until_prompt()
    hold.set()
    assert "Interrupted: stopped; the 4 characters that had come are recorded as cut off" in said
    assert "Traceback" not in said
    record = records(terminal.file)[-1]
    assert record["occurrence"] is None
    assert record["reply"]["text"] == "one "
    again = terminal.run("%ask --no-history Count")
    assert again == "You said: Count. (turn 1, messages 1)"


def test_listings(terminal: Terminal) -> None:
    """``%openai``, ``%models`` and ``%dialogue path`` are plain text in a terminal."""
    assert "dialogue  " in terminal.run("%openai")
    assert "gpt-5.4-mini" in terminal.run("%models 5.4")
    assert "notebook.dialogue.json" in terminal.run("%dialogue path")


def _ipython(tmp_path: Path, base_url: str, *options: str, stdin: str = "") -> str:
    done = subprocess.run(
        [*IPYTHON, *PLAIN, *options],
        cwd=tmp_path,
        env=environment(tmp_path, base_url),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_without_a_terminal(tmp_path: Path, scripted: ScriptedServer) -> None:
    """From a pipe and with ``-c`` the text of the answer is written, asked or replayed."""
    before = len(scripted.requests)
    for _ in range(2):
        said = _ipython(tmp_path, scripted.base_url, "-c", f"{LOAD}\n%ask Hello")
        assert said == "You said: Hello. (turn 1, messages 1)\n"
    assert len(scripted.requests) == before + 1
    said = _ipython(tmp_path, scripted.base_url, stdin=f"{LOAD}\n%ask From a pipe\n")
    assert "You said: From a pipe. (turn 1, messages 1)\n" in said


def test_hung_up(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A terminal that is closed while an answer comes loses no answer before it."""
    hold = threading.Event()
    with opened(tmp_path, scripted) as terminal:
        terminal.run("%ask Hello")
        scripted.script.then(answer("one two three", hold=hold, hold_after=2))
        terminal.type("%ask --no-history Count")
        terminal.until("one ")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.process.wait(PATIENCE)
        hold.set()
        kept = records(terminal.file)
    assert kept[0]["reply"]["text"] == "You said: Hello. (turn 1, messages 1)"
