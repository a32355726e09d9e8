"""Every failure a user can meet, each rendering itself in a line or two.

::

    MagicsError
    ├── OptionError               an option, a value or a name that was typed is wrong
    ├── SettingError              a setting of the environment, a file or ``%config`` is wrong
    ├── NotebookNotFound          which notebook this is cannot be told
    ├── DialogueError             the dialogue file
    │   ├── DialogueDamaged       a line of it cannot be read
    │   ├── DialogueTooNew        written by a newer version of the format
    │   └── DialogueUnwritable    read-only, a folder, a full disk
    ├── AssistantsError           the file of assistants
    │   └── AssistantsDamaged     a line of it cannot be read
    ├── JobsFileError             the file of fine-tuning jobs
    ├── JobFailed                 a fine-tuning job failed, as the service tells
    ├── ReplayMiss                nothing recorded for this request, and asking live is not allowed
    ├── NotConnected              no model can be reached from here
    │   ├── KeyMissing            the service wants a key and none is set
    │   ├── ExtraMissing          an optional package is not installed
    │   └── EngineError           the embedded engine could not be provisioned or started
    └── ServiceError              the service answered with an error, or not as it should
        ├── KeyRefused            401: the key is wrong or revoked
        ├── AccessRefused         403: the key may not do this
        ├── ModelNotFound         404: no such model (or route) there
        ├── RequestRefused        400, 413, 422: the request itself is at fault
        │   ├── ContextTooLong    more tokens than the model takes
        │   ├── ContentRefused    the model or a content filter refused the prompt or the answer
        │   ├── ImageRefused      an image cannot be read here (an OptionError, too): nothing is sent
        │   └── LengthCut         the answer reached the model's limit
        ├── RateLimited           429: too many requests at the moment
        ├── QuotaExhausted        429: the account has no credit left
        ├── Unreachable           no connection, a time-out, a 5xx
        ├── BadReply              an answer that is not what the protocol says
        │   └── SchemaMismatch    an answer that does not fit the schema that was asked for
        └── TooManyRounds         the model wants tools called again and again
    Interrupted (KeyboardInterrupt)   stopped by the person before the answer was whole

They are ordinary exceptions, so a cell that meets one has failed (nbval, papermill and CI
see it); ``_render_traceback_`` keeps what IPython shows to what the person needs: what is
wrong, and what to do.
"""

from __future__ import annotations

from openai_magics.errors.base import (
    Interrupted,
    JobFailed,
    MagicsError,
    NotebookNotFound,
    OptionError,
    ReplayMiss,
    SettingError,
    counted,
    nearest,
)
from openai_magics.errors.files import (
    AssistantsDamaged,
    AssistantsError,
    DialogueDamaged,
    DialogueError,
    DialogueTooNew,
    DialogueUnwritable,
    JobsFileError,
)
from openai_magics.errors.service import (
    AccessRefused,
    BadReply,
    ContentRefused,
    ContextTooLong,
    EngineError,
    ExtraMissing,
    ImageRefused,
    KeyMissing,
    KeyRefused,
    LengthCut,
    ModelNotFound,
    NotConnected,
    QuotaExhausted,
    RateLimited,
    RequestRefused,
    SchemaMismatch,
    ServiceError,
    TooManyRounds,
    Unreachable,
)

__all__ = [
    "AccessRefused",
    "AssistantsDamaged",
    "AssistantsError",
    "BadReply",
    "ContentRefused",
    "ContextTooLong",
    "DialogueDamaged",
    "DialogueError",
    "DialogueTooNew",
    "DialogueUnwritable",
    "EngineError",
    "ExtraMissing",
    "ImageRefused",
    "Interrupted",
    "JobFailed",
    "JobsFileError",
    "KeyMissing",
    "KeyRefused",
    "LengthCut",
    "MagicsError",
    "ModelNotFound",
    "NotConnected",
    "NotebookNotFound",
    "OptionError",
    "QuotaExhausted",
    "RateLimited",
    "ReplayMiss",
    "RequestRefused",
    "SchemaMismatch",
    "ServiceError",
    "SettingError",
    "TooManyRounds",
    "Unreachable",
    "counted",
    "nearest",
]

for _name in __all__:  # tracebacks, pickles and help name them where they are imported from
    globals()[_name].__module__ = __name__
