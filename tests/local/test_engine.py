"""The embedded engine: real servers, real weights, real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from openai_magics import local
from openai_magics.errors import EngineError
from openai_magics.local import process, server, weights

pytestmark = pytest.mark.engine
pytest.importorskip("xllamacpp")

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and forks of POSIX")
QUESTIONS = [
    "What is the capital of France?",
    "Write a line about rivers.",
    "Explain magnets to a child.",
    "Tell me a story about a sailor.",
]
PARENT = """
import json, os, sys, time
from openai_magics import local
from openai_magics.local import process
engine = local.engine()
print(json.dumps([engine.base_url, engine.api_key, process._child.process.pid]), flush=True)
"""


@pytest.fixture(scope="session")
def model():
    """The weights, from the user's cache or fetched into it."""
    return weights.ensure(model="")


@pytest.fixture(autouse=True)
def clean(model, monkeypatch, tmp_path):
    """No engine is left over, before or after; the default model, and no tuned one, is in use."""
    monkeypatch.delenv("OPENAI_MAGICS_LOCAL_MODEL", raising=False)
    monkeypatch.setenv("OPENAI_MAGICS_DATA", str(tmp_path / "data"))
    local.stop()
    yield
    local.stop()


def call(base_url, route, key=None, body=None, **headers):
    """Send a request; return status, headers and JSON."""
    request = urllib.request.Request(
        base_url + route,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def ask(engine, question, tokens=24, **parameters):
    messages = [
        {"role": "system", "content": local.DEFAULT_SYSTEM_PROMPT},
        {"role": "user", "content": question},
    ]
    body = {
        "model": engine.model,
        "messages": messages,
        "max_completion_tokens": tokens,
        **parameters,
    }
    status, _, answer = call(engine.base_url, "/chat/completions", engine.api_key, body)
    assert status == 200, answer
    return answer["choices"][0]["message"]["content"]


def listens(base_url, host="127.0.0.1"):
    try:
        socket.create_connection((host, urlsplit(base_url).port), timeout=2).close()
    except OSError:
        return False
    return True


def wait_until_gone(base_url):
    for _ in range(300):
        if not listens(base_url):
            return
        time.sleep(0.1)
    pytest.fail("the server is still there")


def parent(code="time.sleep(600)", **options):
    """Start a Python that starts the engine; return it, and what the engine is."""
    started = subprocess.Popen(
        [sys.executable, "-c", PARENT + code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    base_url, key, pid = json.loads(started.stdout.readline())
    return started, local.Engine(base_url, key, local.MODEL), pid


def test_it_answers():
    """The engine answers an easy question, under its own name."""
    engine = local.engine()
    assert "Paris" in ask(engine, QUESTIONS[0])
    assert engine.model == local.MODEL == "SmolLM2-135M-Instruct"


def test_answers_name_no_folder():
    """What the server says of the model holds no path of this machine."""
    engine = local.engine()
    _, _, models = call(engine.base_url, "/models", engine.api_key)
    assert [item["id"] for item in models["data"]] == [local.MODEL]
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    _, _, answer = call(engine.base_url, "/chat/completions", engine.api_key, body)
    assert answer["model"] == local.MODEL
    assert str(weights.cache_folder()) not in json.dumps([models, answer])


def test_the_openai_client_works():
    """The `openai` client streams from it as from any server."""
    openai = pytest.importorskip("openai")
    engine = local.engine()
    client = openai.OpenAI(base_url=engine.base_url, api_key=engine.api_key, max_retries=0)
    message = {"role": "user", "content": "Count to three."}
    stream = client.chat.completions.create(
        model=engine.model, messages=[message], max_completion_tokens=8, stream=True
    )
    assert "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
    client.close()


def test_two_servers_answer_alike(model):
    """Without a temperature, two servers give the same answers, in whatever order asked."""
    one = process.start(model)
    first = {question: ask(one.engine, question) for question in QUESTIONS}
    one.stop()
    other = process.start(model)
    second = {question: ask(other.engine, question) for question in reversed(QUESTIONS)}
    other.stop()
    assert first == second
    assert len(set(first.values())) == len(QUESTIONS)


def test_what_was_asked_before_does_not_matter():
    """A question repeated, after others and beside others, has the same answer."""
    engine = local.engine()
    first = [ask(engine, question) for question in QUESTIONS]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda question: ask(engine, question), QUESTIONS)) == first


def test_a_temperature_repeats_too():
    """With a temperature and no seed the seed is fixed; another seed gives another answer."""
    engine = local.engine()
    hot = [ask(engine, QUESTIONS[3], temperature=1.5) for _ in range(2)]
    assert hot[0] == hot[1]
    assert ask(engine, QUESTIONS[3], temperature=1.5, seed=99) != hot[0]


def test_the_number_of_threads_does_not_matter(model):
    """The answers are the same however many processors the machine has."""
    answers = []
    for threads in (1, 3):
        settings = {
            "model": str(model),
            "name": "m",
            "api_key": "k",
            "context": 2048,
            "threads": threads,
            "port": 0,
            "parent": os.getpid(),
            "adapter": None,
            "front": False,
        }
        child = subprocess.Popen(
            [sys.executable, server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        child.stdin.write(json.dumps(settings).encode() + b"\n")
        child.stdin.flush()
        ready = json.loads(child.stdout.readline())
        engine = local.Engine(ready["base_url"], "k", ready["model"])
        answers.append([ask(engine, question) for question in QUESTIONS[1:3]])
        child.stdin.close()
        child.stdout.close()
        assert child.wait(90) == 0
    assert answers[0] == answers[1]


@pytest.mark.parametrize("key", [None, "sk-local-wrong"], ids=["no key", "a wrong key"])
@pytest.mark.parametrize("route", ["/chat/completions", "/models", "/responses", "/completions"])
def test_the_key_is_needed(route, key):
    """Nobody else on the machine gets an answer: 401 without the key."""
    engine = local.engine()
    body = None if route == "/models" else {"messages": [{"role": "user", "content": "Hi"}]}
    assert call(engine.base_url, route, key, body)[0] == 401


def test_the_key_is_not_shown():
    """The key is in no repr, and not on the command line that other users can read."""
    engine = local.engine()
    assert engine.api_key not in repr(engine)
    assert engine.api_key not in repr(process._child)
    if sys.platform == "linux":
        pid = process._child.process.pid
        assert engine.api_key.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_only_loopback():
    """No other machine reaches it."""
    engine = local.engine()
    assert engine.base_url.startswith("http://127.0.0.1:")
    assert listens(engine.base_url)
    if sys.platform == "linux":
        # Answers if, and only if, the server listens on every address.
        assert not listens(engine.base_url, "127.0.0.2")


def test_no_page_in_a_browser_may_read_it():
    """A web page's origin is neither allowed by `*` nor by being repeated."""
    engine = local.engine()
    _, headers, _ = call(engine.base_url, "/models", engine.api_key, Origin="http://page.example")
    assert headers.get("Access-Control-Allow-Origin") not in ("*", "http://page.example", "null")
    assert headers.get("Access-Control-Allow-Credentials") != "true"


def test_one_engine_a_process():
    """However many threads ask at once, one engine is started."""
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: local.engine(), range(8)))
    assert len(set(engines)) == 1
    assert local.running() == engines[0]


def test_it_outlives_the_thread_that_started_it():
    """An engine started by a worker thread serves after that thread has ended."""
    found = []
    thread = threading.Thread(target=lambda: found.append(local.engine()))
    thread.start()
    thread.join()
    assert ask(found[0], QUESTIONS[0], tokens=4)


def test_it_is_started_again_when_it_died():
    """After the server was killed, the next use starts another."""
    first = local.engine()
    process._child.process.kill()
    process._child.process.wait()
    assert local.running() is None
    second = local.engine()
    assert second != first
    assert ask(second, QUESTIONS[0], tokens=4)


def test_stop_ends_it():
    """After `stop` nothing listens; stopping twice is no error."""
    engine = local.engine()
    local.stop()
    local.stop()
    assert local.running() is None
    assert not listens(engine.base_url)


def test_another_model_is_another_engine(model, tmp_path, monkeypatch):
    """A change of OPENAI_MAGICS_LOCAL_MODEL holds from the next use on."""
    first = local.engine()
    other = tmp_path / "Other.gguf"
    other.symlink_to(model)
    monkeypatch.setenv("OPENAI_MAGICS_LOCAL_MODEL", str(other))
    second = local.engine()
    assert second.model == "Other"
    assert not listens(first.base_url)


@posix
def test_it_dies_with_a_killed_parent():
    """A parent that is killed, and can clean up nothing, leaves no server behind."""
    started, engine, _ = parent()
    assert listens(engine.base_url)
    started.kill()
    started.communicate()
    wait_until_gone(engine.base_url)


@posix
def test_it_dies_though_a_fork_holds_the_pipe():
    """A forked child that outlives the killed parent does not keep the server alive."""
    # The fork holds a copy of the pipe's end, as one made by foreign code could.
    started, engine, _ = parent(
        "os.dup2(process._child.process.stdin.fileno(), 99)\n"
        "fork = os.fork()\n"
        "if fork: print(fork, flush=True)\n"
        "time.sleep(600)"
    )
    fork = int(started.stdout.readline())
    started.kill()
    started.wait()
    try:
        wait_until_gone(engine.base_url)
    finally:
        os.kill(fork, signal.SIGKILL)
        started.communicate()


def test_it_ends_with_its_parent():
    """A parent that ends in order takes the server with it."""
    started, engine, _ = parent("sys.stdin.read()")
    started.communicate()
    assert started.returncode == 0
    wait_until_gone(engine.base_url)


@posix
def test_an_interrupt_leaves_it_alone():
    """SIGINT to the parent's process group, and to the server itself, does not end it."""
    code = """
while True:
    try:
        print("waiting", flush=True)
        sys.stdin.read()
        break
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    started, engine, pid = parent(code, start_new_session=True)
    assert started.stdout.readline() == "waiting\n"  # else the signal may come before the `try`
    os.killpg(started.pid, signal.SIGINT)
    assert started.stdout.readline() == "interrupted\n"
    os.kill(pid, signal.SIGINT)
    assert ask(engine, QUESTIONS[0], tokens=4)
    started.communicate()
    wait_until_gone(engine.base_url)


@posix
def test_a_fork_does_not_touch_it():
    """A forked child knows no engine, and its `stop` and its end leave the parent's alone."""
    code = """
import threading
fork = os.fork()
if not fork:
    assert local.running() is None
    local.stop()
    own = local.engine()
    assert own != engine
    sys.exit(0)
_, status = os.waitpid(fork, 0)
print(status, local.running() == engine == local.engine(), flush=True)
sys.stdin.read()
"""
    started, engine, _ = parent(code)
    assert started.stdout.readline() == "0 True\n"
    assert ask(engine, QUESTIONS[0], tokens=4)
    started.communicate()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda real: real[:4_000_000], "corrupted or incomplete"),
        (lambda _: b"GGUF" + bytes(range(256)) * 400, "GGUF file is version"),
    ],
    ids=["cut off", "nonsense"],
)
def test_a_bad_model_says_why(model, tmp_path, monkeypatch, content, reason):
    """A GGUF that does not load is an error with llama.cpp's reason, and leaves no process."""
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(content(model.read_bytes()))
    monkeypatch.setenv("OPENAI_MAGICS_LOCAL_MODEL", str(bad))
    with pytest.raises(EngineError, match=reason) as caught:
        local.engine()
    assert "bad.gguf" in caught.value.problem
    assert Path(caught.value.remedy.removeprefix("Its log: ")).exists()
    assert local.running() is None


def test_a_bad_environment_says_why(model, tmp_path, monkeypatch):
    """A server that cannot even import its engine says so."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no such instruction')")
    code = (
        "from openai_magics.errors import EngineError\n"
        "from openai_magics import local\n"
        "try: local.engine()\n"
        "except EngineError as error: print(error.problem)"
    )
    folders = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": folders},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "did not start" in ended.stdout
    # The server is a file in a folder of ours: PYTHONPATH still decides what it imports.
    assert "no such instruction" in ended.stdout


def test_files_beside_the_notebook_are_not_imported(model, tmp_path):
    """A json.py in the notebook's folder does not come in the way of the server."""
    (tmp_path / "json.py").write_text("raise ImportError('not this one')")
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('not this one')")
    code = (
        "import sys; sys.path.remove('') if '' in sys.path else None\n"
        "from openai_magics import local; print(local.engine().model)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == local.MODEL, ended.stderr


def test_the_log_is_a_file():
    """What llama.cpp says goes to a file, not to the notebook; the key is not in it."""
    code = (
        "from openai_magics import local; e = local.engine()\n"
        "from openai_magics.local import weights\n"
        "import os, time, urllib.request as u\n"
        "try: u.urlopen(e.direct + '/models')\n"
        "except OSError: pass\n"
        "[log] = (weights.cache_folder() / 'logs').glob(f'engine-{os.getpid()}-*.log')\n"
        "while 'Key' not in log.read_text(): time.sleep(0.05)\n"  # it ends with its parent
        "print(e.api_key)"
    )
    command = [sys.executable, "-c", code]
    started = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, err = started.communicate(timeout=240)
    assert len(out.splitlines()) == 1
    assert err == ""
    [log] = (weights.cache_folder() / "logs").glob(f"engine-{started.pid}-*.log")
    text = log.read_text()
    assert "Invalid API Key" in text
    assert out.strip() not in text


@posix
def test_in_the_foreground():
    """`python -m openai_magics.local` prints what a client needs, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "openai_magics.local"]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said = [started.stdout.readline().strip() for _ in range(3)]
    assert local.MODEL in said[0]
    found = dict(line.split("=", 1) for line in said[1:])
    engine = local.Engine(found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"], local.MODEL)
    assert ask(engine, QUESTIONS[0], tokens=4)
    port = str(urlsplit(engine.base_url).port)
    second = subprocess.run([*command, "--port", port], cwd=ROOT, capture_output=True, text=True)
    assert second.returncode == 1
    assert second.stderr.startswith("EngineError: The engine on this machine did not start")
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=60)
    assert started.returncode == 0
    wait_until_gone(engine.base_url)


def test_the_foreground_takes_a_model(tmp_path):
    """`--model` with a file that is none is a plain error."""
    command = [sys.executable, "-m", "openai_magics.local", "--model", str(tmp_path / "no.gguf")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("EngineError: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.engine
def test_responses_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's ``/v1/responses`` gives what its chat completions give, streamed or not, with a schema."""
    from openai_magics import Session

    monkeypatch.chdir(tmp_path)
    session = Session(model="local")
    same: dict[str, Any] = {"max_completion_tokens": 24, "temperature": 0}
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    for on_text in (None, [].append):
        said = [
            [
                session.ask(text, api=api, conversation=f"{api} {on_text}", on_text=on_text, **same)
                for text in ("What is the capital of France?", "And of Norway?")
            ]
            for api in ("chat", "responses")
        ]
        assert [reply.text for reply in said[0]] == [reply.text for reply in said[1]]
        assert str(said[1][0].response_id).startswith("resp_")
        assert said[1][0].usage["completion_tokens"] > 0
    reply = session.ask("Name a river.", api="responses", schema=schema, history=False, **same)
    assert isinstance(reply.data["name"], str)
