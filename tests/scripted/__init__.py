"""A server that answers as the OpenAI API does and checks what it is sent, for tests.

``ScriptedServer`` (and the fixture ``scripted``, in ``fixtures.py``) is the server; what it
answers is made of ``answer``, of the errors of the API (module ``errors``) and of what no API
should answer (module ``failures``). ``python -m tests.scripted`` runs one as a process.
"""

from tests.scripted import errors, failures
from tests.scripted.errors import error
from tests.scripted.process import process
from tests.scripted.replies import Answer, Style, answer, usage
from tests.scripted.script import Script, echo
from tests.scripted.server import ScriptedServer
from tests.scripted.wire import Custom, Ending, Pause, Plan, Problem, Reply, Request

__all__ = [
    "Answer",
    "Custom",
    "Ending",
    "Pause",
    "Plan",
    "Problem",
    "Reply",
    "Request",
    "Script",
    "ScriptedServer",
    "Style",
    "answer",
    "echo",
    "error",
    "errors",
    "failures",
    "process",
    "usage",
]
