"""``/v1/files``: uploaded to the disk piece by piece, whatever their size."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from openai_magics.local.jobs import store
from openai_magics.local.jobs.create import Refused
from openai_magics.local.jobs.files import Files
from openai_magics.local.service import answers

__all__ = ["Routes"]

LARGEST = 512 * 1024 * 1024
"""Bytes of a file, as at OpenAI."""
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
PIECE = 1 << 20


class Routes:
    """The routes of files."""

    def __init__(self, kept: store.Store) -> None:
        self.files = Files(kept)

    def all(self) -> list[web.RouteDef]:
        """Return them."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{number}", self._retrieve),
            web.get("/v1/files/{number}/content", self._content),
            web.delete("/v1/files/{number}", self._delete),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        if request.content_type != "multipart/form-data":
            text = (
                f"Unsupported content type: '{request.content_type}'. This API method only "
                "accepts 'multipart/form-data' requests."
            )
            raise Refused(415, text, "unsupported_content_type")
        target = self.files.folder / f".{store.new_id('new-')}"
        try:
            name, purpose = await self._receive(request, target)
            shown = await asyncio.to_thread(self.files.add, name, purpose, target)
        finally:
            target.unlink(missing_ok=True)
        return web.json_response(shown)

    async def _receive(self, request: web.Request, target: Path) -> tuple[str, str]:
        """Write the file of the form to *target*; return its name and purpose."""
        name, purpose = None, None
        try:
            form = await request.multipart()
            while (part := await form.next()) is not None:
                if isinstance(part, BodyPartReader) and part.name == "purpose":
                    purpose = await part.text()
                elif isinstance(part, BodyPartReader) and part.name == "file":
                    name = Path((part.filename or "file").replace("\\", "/")).name
                    await self._write(part, target)
        except ValueError as error:
            raise Refused(400, f"The form cannot be read: {error}") from None
        _check(name, purpose)
        assert name is not None
        assert purpose is not None
        return name, purpose

    async def _write(self, part: BodyPartReader, target: Path) -> None:
        size = 0
        with target.open("wb") as file:
            while piece := await part.read_chunk(PIECE):
                size += len(piece)
                if size > LARGEST:
                    text = f"The file has more than {LARGEST >> 20} MB."
                    raise Refused(413, text, "file_too_large", "file")
                await asyncio.to_thread(file.write, piece)
        if not size:
            raise Refused(400, "The file is empty.", "empty_file", "file")

    async def _list(self, request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self.files.all)
        wanted = request.query.get("purpose")
        found = [each for each in found if wanted in (None, each["purpose"])]
        if request.query.get("order", "desc") == "desc":
            found.reverse()
        return web.json_response(answers.page(found, request.query, 10_000, named=True))

    async def _retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        shown = self._find(request)
        headers = {"Content-Type": "application/octet-stream"}
        return web.FileResponse(self.files.content(shown["id"]), headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        number = self._find(request)["id"]
        await asyncio.to_thread(self.files.delete, number)
        return web.json_response({"id": number, "object": "file", "deleted": True})

    def _find(self, request: web.Request) -> dict[str, Any]:
        number = request.match_info["number"]
        shown = self.files.get(number)
        if shown is None:
            raise Refused(404, f"No such File object: {number}", None, "id")
        return shown


def _check(name: str | None, purpose: str | None) -> None:
    """Raise `Refused` where a form lacks something, or says what cannot be."""
    for param, value in (("file", name), ("purpose", purpose)):
        if value is None:
            text = f"Missing required parameter: '{param}'."
            raise Refused(400, text, "missing_required_parameter", param)
    if purpose not in PURPOSES:
        known = ", ".join(f"'{each}'" for each in PURPOSES)
        text = f"Invalid value: '{purpose}'. Supported values are: {known}."
        raise Refused(400, text, "invalid_value", "purpose")
    if purpose in ("fine-tune", "batch") and name and not name.endswith(".jsonl"):
        extension = name.rpartition(".")[2]
        text = f'Invalid extension {extension}. Supported formats: "jsonl"'
        raise Refused(400, text, None, "file")
