"""Named set-ups (instructions, model, parameters, tools) in a file beside the notebook.

An assistant is ours: the service's own were switched off on 2026-08-26. What an assistant
says enters a request as if it had been typed, so another set-up is another request.
``%assistant NAME`` is an exchange of the dialogue file (kind ``assistant``) that holds the
set-up as it was: a replay takes it from there and needs no file of assistants.
"""
