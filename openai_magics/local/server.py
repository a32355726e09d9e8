"""The engine's process: llama.cpp's server on loopback, for as long as its parent lives.

Started by `openai_magics.local.process`, which writes one JSON line to its stdin: ``model``
(path), ``mmproj`` (path, or nothing), ``name``, ``api_key``, ``context`` (tokens), ``threads``,
``port`` (0: any), ``parent`` (process id), ``adapter`` (path, or ``null``) and ``front``: whether tuned models,
files and jobs are to be had behind the same address (`openai_magics.local.service`). When it is
ready it prints one JSON line: ``base_url``, ``direct`` (llama.cpp's own address, the same where
there is no front), ``model``, ``ready_s``. Its stderr, and llama.cpp's, is the log.

It runs as a plain file, wherever the project lies, and imports the front from there only when
someone calls it: the first answer of the engine does not wait for it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]

SEED = 1
HEARTBEAT = 0.5
"""Seconds between two looks at the parent."""
PENDING = 5.0
"""Seconds between two looks at unfinished jobs before the front is called."""


def parameters(settings: dict[str, Any]) -> Any:
    """Return llama.cpp's parameters for the settings that came on stdin."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    if settings.get("mmproj"):
        params.mmproj.path = settings["mmproj"]
        params.mmproj_use_gpu = False
    # Without it the path, with this machine's folders, is what answers and records name.
    params.model_alias = {settings["name"]}
    params.verbosity = 2

    params.hostnames = ["127.0.0.1"]
    params.port = 0 if settings["front"] else settings["port"]
    params.api_keys = [settings["api_key"]]
    # No page in a browser has business here: an origin that no page can have.
    params.cors_origins = "none"
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False

    # The same request is to give the same answer. Measured over 52 prompts of 96 tokens: with
    # a prompt cache 8 differed by what was asked before; with four slots at work at once 5
    # differed by what was asked beside, for 15 % more speed and 140 MB. Without: none.
    # cache_ram_mib: a cache there also mixes up adapters (llama.cpp #26207).
    params.n_parallel = 1
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    # The fused attention splits its sums by the number of threads: 3 of 52 answers differed
    # between one thread and two; without it none, at the same speed.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.sampling.temp = 0.0
    params.sampling.seed = SEED
    # Marks the temperature as ours, or a model file's own recommendation would replace it.
    params.sampling.user_sampling_config |= int(
        xllamacpp.common_params_sampling_config.COMMON_PARAMS_SAMPLING_CONFIG_TEMP
    )

    if settings["adapter"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = settings["adapter"]
        adapter.scale = 1.0
        params.lora_adapters = [adapter]

    params.n_ctx = settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    return params


def end_with(parent: int) -> None:
    """End this process when *parent* is no longer the one that started it."""
    # The end of stdin tells it too, but not while a fork of the parent holds the pipe open.
    while os.getppid() == parent:
        time.sleep(HEARTBEAT)
    os._exit(0)


def serve_front(listener: socket.socket, settings: dict[str, Any], root: str) -> None:
    """Answer on *listener* from the first connection on; until then only look after jobs."""
    # This file's own folder comes first where it runs as a file; its modules are no packages.
    sys.path[0:1] = []
    sys.path.append(str(Path(__file__).parents[2]))
    from openai_magics.local.jobs import start, store

    kept = store.Store()
    while not select.select([listener], [], [], PENDING)[0]:
        try:
            start.ensure(kept)
        except OSError as error:
            print("the jobs cannot be looked after:", error)  # noqa: T201 - the log
    from openai_magics.local.service import front

    front.serve(listener, settings, root)


def main() -> None:
    """Serve until the parent goes."""
    began = time.monotonic()
    # An interrupt of a cell goes to the kernel's whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent reads the answer alone; whatever else is printed goes to the log.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with, args=(settings["parent"],), daemon=True).start()
    import xllamacpp

    listener = socket.create_server(("127.0.0.1", settings["port"])) if settings["front"] else None
    server = xllamacpp.Server(parameters(settings))
    direct = f"{server.listening_address}/v1"
    ready = {
        "base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1" if listener else direct,
        "direct": direct,
        "model": settings["name"],
        "ready_s": round(time.monotonic() - began, 3),
    }
    with answer:
        answer.write(json.dumps(ready) + "\n")
    if listener is not None:
        front = (listener, settings, server.listening_address)
        threading.Thread(target=serve_front, args=front, daemon=True).start()
    sys.stdin.read()
    # Taking the server apart in order would wait for an answer that nobody will read.
    os._exit(0)


if __name__ == "__main__":
    main()
