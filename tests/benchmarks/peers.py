"""The peers of a replay, in an interpreter that has them: asked by lines on stdin, they tell milliseconds.

``PYTHON -m tests.benchmarks.peers exchanges.json folder`` with ``[[question, answer], …]`` in the
file; then ``langchain 17`` or ``vcrpy 17`` asks question 17. Nothing can be asked live: no server
is where they look.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

MODEL = "gpt-4o"
NOWHERE = "http://127.0.0.1:9/v1"
Ask = Callable[[str], Any]


def langchain(exchanges: list[tuple[str, str]], folder: Path) -> Ask:
    """Return ``ChatOpenAI.invoke`` over a SQLiteCache that holds all exchanges."""
    from langchain_community.cache import FullLLMCache, SQLiteCache
    from langchain_core.caches import BaseCache
    from langchain_core.globals import set_llm_cache
    from langchain_core.load import dumps
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration
    from langchain_openai import ChatOpenAI
    from sqlalchemy.orm import Session

    model = ChatOpenAI(model=MODEL, api_key="sk-none", base_url=NOWHERE, max_retries=0)
    keys: list[tuple[str, str]] = []

    class Keys(BaseCache):
        """Answers anything, and keeps what it was asked for."""

        def lookup(self, prompt: str, llm_string: str) -> list[ChatGeneration]:
            keys.append((prompt, llm_string))
            return [ChatGeneration(message=AIMessage("seen"))]

        def update(self, *_: Any) -> None:
            """Nothing is new to it."""

        def clear(self, **_: Any) -> None:
            """Nothing is in it."""

    set_llm_cache(Keys())
    for question, _ in exchanges:
        model.invoke(question)
    cache = SQLiteCache(str(folder / "langchain.db"))
    with Session(cache.engine) as session:
        session.add_all(
            FullLLMCache(
                prompt=prompt,
                llm=llm,
                idx=0,
                response=dumps(ChatGeneration(message=AIMessage(answer))),
            )
            for (prompt, llm), (_, answer) in zip(keys, exchanges, strict=True)
        )
        session.commit()
    set_llm_cache(cache)
    return lambda question: model.invoke(question).content


def vcrpy(exchanges: list[tuple[str, str]], folder: Path) -> Ask:
    """Return ``create`` under a cassette that holds all exchanges and tells them by their body."""
    import openai
    import vcr

    interactions = [
        {
            "request": {
                "method": "POST",
                "uri": f"{NOWHERE}/chat/completions",
                "headers": {"content-type": ["application/json"]},
                "body": json.dumps(
                    {"messages": [{"role": "user", "content": question}], "model": MODEL}
                ),
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["application/json"]},
                "body": {"string": json.dumps(_completion(answer))},
            },
        }
        for question, answer in exchanges
    ]
    path = folder / "cassette.json"
    path.write_text(json.dumps({"version": 1, "interactions": interactions}))
    cassette = vcr.VCR(serializer="json", record_mode=vcr.mode.NONE).use_cassette(
        str(path), match_on=("method", "uri", "body"), allow_playback_repeats=True
    )
    cassette.__enter__()
    client = openai.OpenAI(api_key="sk-none", base_url=NOWHERE, max_retries=0)
    create = client.chat.completions.create

    def ask(question: str) -> Any:
        answered = create(model=MODEL, messages=[{"role": "user", "content": question}])
        return answered.choices[0].message.content

    return ask


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1795418000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 41, "completion_tokens": 96, "total_tokens": 137},
    }


def main() -> None:
    """Make both ready, then answer the lines."""
    exchanges = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(sys.argv[2])
    asks = {"langchain": langchain(exchanges, folder), "vcrpy": vcrpy(exchanges, folder)}
    warnings.simplefilter("ignore")  # LangChain's of itself, each time: not to be in its time
    names = ("langchain-community", "langchain-openai", "vcrpy")
    print(json.dumps({name: version(name) for name in names}), flush=True)
    for line in sys.stdin:
        name, number = line.split()
        question, answer = exchanges[int(number)]
        begun = time.perf_counter()
        got = asks[name](question)
        taken = (time.perf_counter() - begun) * 1000
        assert got == answer, got
        print(taken, flush=True)


if __name__ == "__main__":
    main()
