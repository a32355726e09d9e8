"""What ``%load_ext openai_magics`` loads, when, and that it can be taken out again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.kernels import KEY, LOAD, ROOT, Kernel, environment, loaded

HEAVY = ("pandas", "numpy", "PIL", "ipywidgets", "openai", "httpx2", "jinja2", "markdown_it")
PRESENT = f"[name for name in {HEAVY!r} if name in __import__('sys').modules]"
WARMING = "[t.name for t in __import__('threading').enumerate() if 'openai' in t.name]"
ENVIRONMENTS = [
    pytest.param({"OPENAI_API_KEY": KEY}, id="with a key"),
    pytest.param({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, id="with a base_url"),
    pytest.param({"OPENAI_API_KEY": KEY, "OPENAI_MAGICS_MODE": "replay"}, id="in replay"),
]


@pytest.mark.parametrize("set_there", ENVIRONMENTS)
def test_nothing_heavy(tmp_path: Path, set_there: dict[str, str]) -> None:
    """Loading imports no pandas, Pillow, ipywidgets, openai, jinja2 or Markdown parser."""
    with Kernel(tmp_path, environment(tmp_path, **set_there)) as kernel:
        assert kernel.value(PRESENT) == []
        # In the cell that loads: the thread that imports later has not begun.
        ran = kernel.ok(f"{LOAD}\nprint({PRESENT})")
        assert ran.stdout == "[]\n"


def test_import_of_the_package() -> None:
    """``import openai_magics`` alone imports nothing heavy, and not even IPython."""
    code = f"import openai_magics, sys; print([n for n in {(*HEAVY, 'IPython')!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"[]\n"


@pytest.mark.parametrize("set_there", ENVIRONMENTS[:2])
def test_warm(tmp_path: Path, set_there: dict[str, str]) -> None:
    """Where a live call is likely, ``openai`` is imported while the person still types."""
    with loaded(tmp_path, environment(tmp_path, **set_there)) as kernel:
        kernel.wait("'openai' in __import__('sys').modules")
        kernel.wait(f"not {WARMING}")
        assert kernel.value("'openai_magics.client' in __import__('sys').modules")


def test_cold(tmp_path: Path) -> None:
    """In replay mode nothing is imported in advance: not even a thread is started."""
    env = environment(tmp_path, OPENAI_API_KEY=KEY, OPENAI_MAGICS_MODE="replay")
    with Kernel(tmp_path, env) as kernel:
        assert kernel.ok(f"{LOAD}\nprint({WARMING})").stdout == "[]\n"


def test_cell_while_modules_are_imported(tmp_path: Path) -> None:
    """A cell that ends while the thread is in the middle of an import is not disturbed."""
    with loaded(tmp_path, environment(tmp_path, OPENAI_MAGICS_MODE="replay")) as kernel:
        begun = "sys.modules['openai_magics.session'] = type(sys)('openai_magics.session')"
        ran = kernel.ok(f"import sys\n{begun}")
        assert ran.stderr + kernel.ok("1 + 1").stderr == ""
        assert kernel.complete("%ask -c ") == ["main"]


def test_reloaded(tmp_path: Path) -> None:
    """Loaded again it is there once: one hook, one set of completions, one ``%config``."""
    hooks = "[len(held) for _, held in sorted(get_ipython().events.callbacks.items())]"
    matchers = "len(get_ipython().Completer.custom_matchers)"
    ours = "sum('openai_magics' in type(c).__module__ for c in get_ipython().configurables)"
    counted = f"[{hooks}, {matchers}, {ours}]"
    with Kernel(tmp_path, environment(tmp_path, OPENAI_MAGICS_MODE="replay")) as kernel:
        before = kernel.value(counted)
        kernel.ok(LOAD)
        once = kernel.value(counted)
        assert once != before
        for _ in range(2):
            kernel.ok("%reload_ext openai_magics")
        assert kernel.value(counted) == once
        assert kernel.run("%config OpenAIMagics.mode = 'relay'").reply["ename"] == "SettingError"
        assert kernel.complete("%ask --dry") == ["--dry-run"]
        kernel.ok("%unload_ext openai_magics")
        assert kernel.value(counted) == before
        assert kernel.complete("%ask --dry") == []
