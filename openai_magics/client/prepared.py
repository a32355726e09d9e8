"""What is ready to be sent: where to, by which model, with which words and images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from openai_magics import local
from openai_magics.calls import Listener, bar
from openai_magics.config import Settings
from openai_magics.connection import Target
from openai_magics.errors import EngineError, SettingError
from openai_magics.exchange import Reply, Request, Resolved, image_parts
from openai_magics.keys import Secret
from openai_magics.routes import ROUTES
from openai_magics.schemas import forms
from openai_magics.sent_images import Parts, sent_images
from openai_magics.wire import bodies

__all__ = ["Prepared", "observed", "only_model", "prepared"]


@dataclass(frozen=True)
class Prepared:
    """A request with what its surroundings decide.

    ``parts`` has what goes over the wire for each image (see `openai_magics.sent_images`).
    """

    request: Request
    target: Target
    key: Secret
    resolved: Resolved
    parts: Parts


def prepared(
    request: Request,
    form: str,
    target: Target,
    settings: Settings,
    listener: Listener,
    its_model: Callable[[Target], str],
) -> Prepared:
    """Make ready what answers and what is sent: the engine, the model's name, the images.

    Parameters
    ----------
    form : str
        The form in which a schema is sent (see `openai_magics.schemas.forms`).
    its_model : callable
        Names the model of a server where none was named.

    Raises
    ------
    EngineError, SettingError, ImageRefused
        The engine does not start, there is no one model, an image cannot be read.
    """
    route = ROUTES.get(request.kind)
    names_model = route.model if route else target.local or not _has_its_model(request, settings)
    system = request.system
    if system is None and route is None:
        system = settings.get("system_instruction")
    key = target.key or Secret("")
    if target.local:
        first = f"Starting {local.description()} (%openai tells of better ones)"
        with listener.told("" if local.running() else first):
            engine = local.engine(
                lambda label, done, total: listener.notice(bar(label, done, total))
            )
        model = target.model if local.is_tuned(target.model) else engine.model
        base_url = engine.address(model) if route is None else engine.base_url
        target = replace(target, base_url=base_url, model=model)
        key = Secret(engine.api_key)
        if route is None and system is None:
            system = local.system_prompt(model)
    elif target.model is None and names_model:
        target = replace(target, model=its_model(target))
    parameters = {**request.parameters, **forms.parameters(form, request.schema)}
    if target.local and route is None and request.occurrence and "seed" not in parameters:
        # The engine repeats itself for a seed: another sample is another seed.
        parameters["seed"] = request.occurrence + 1
    if bodies.wants_json(request):
        system = bodies.with_json_asked_for(request, system)
    parts, kept = sent_images(request, target.model)
    resolved = Resolved(
        model=target.model if names_model else None,
        endpoint=target.endpoint,
        system=forms.in_words(form, request.schema, system),
        parameters=parameters,
        images=kept,
    )
    return Prepared(request, target, key, resolved, parts)


def _has_its_model(request: Request, settings: Settings) -> bool:
    """Whether a request names a prompt that the service keeps, and no model: it has its own.

    The model of the surroundings does not go before it, for that is what is asked where
    nothing names any.
    """
    kept = "prompt" in request.parameters and settings.get("api", request.api) == "responses"
    return kept and request.model is None


def observed(request: Request, target: Target, listener: Listener) -> Reply | None:
    """Return what can be told of an image where the engine's model does not see.

    Raises
    ------
    EngineError
        It is not described but asked about in words, which takes a model that sees.
    """
    if not target.local or local.sees() or not image_parts((*request.history, *request.messages)):
        return None
    from openai_magics.local import observe

    if request.kind != "describe":
        raise EngineError(f"{local.wanted()} on this machine does not see images.", observe.SEEING)
    with listener.told("Looking at the image"):
        return observe.observed(request)


def only_model(target: Target, listed: Reply) -> str:
    """Return the model of a server that has just one, as its list of models tells.

    Raises
    ------
    SettingError
        It has several (named) or none.
    """
    data = listed.payload.get("data")
    rows = data if isinstance(data, list) else []
    names = [str(item["id"]) for item in rows if isinstance(item, dict) and "id" in item]
    if len(names) != 1:
        has = f"has {len(names)} models: {', '.join(names[:20])}" if names else "names no model"
        raise SettingError(
            f"Which model? {target.endpoint} {has}.",
            "Name one: --model NAME, or %config OpenAIMagics.model = 'NAME'.",
        )
    return names[0]
