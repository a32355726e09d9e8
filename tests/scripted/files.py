"""Uploaded files, kept in memory: ``server.files``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.scripted.errors import error
from tests.scripted.routes import page
from tests.scripted.wire import CREATED, Plan, Refusal, Reply, Request, Upload, as_json

if TYPE_CHECKING:
    from tests.scripted.server import ScriptedServer


class Files:
    """The files of a server: what the API shows of each (``shown``) and its ``contents``."""

    def __init__(self, server: ScriptedServer) -> None:
        self.shown: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        server.route("GET", "/files", self._list)
        server.route("POST", "/files", self._upload)
        server.route("GET", "/files/{file_id}", self._retrieve)
        server.route("DELETE", "/files/{file_id}", self._delete)
        server.route("GET", "/files/{file_id}/content", self._content)

    def add(self, filename: str, content: bytes, purpose: str) -> str:
        """Keep a file and return its id."""
        name = f"file-{len(self.contents) + 1:06d}"
        self.contents[name] = content
        self.shown[name] = {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": CREATED + len(self.contents),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        return name

    def _list(self, request: Request) -> Reply:
        wanted = request.query.get("purpose")
        found = [each for each in self.shown.values() if wanted in (None, each["purpose"])]
        if request.query.get("order", "desc") == "desc":
            found.reverse()
        return as_json(page(found, request.query, default=10_000, named=True))

    def _upload(self, request: Request) -> Reply:
        upload, purpose = request.json["file"], request.json["purpose"]
        if not isinstance(upload, Upload):
            return error(400, None, "'file' must be a file.", param="file")
        extension = upload.filename.rpartition(".")[2]
        if purpose in ("fine-tune", "batch") and extension != "jsonl":
            text = f'Invalid extension {extension}. Supported formats: "jsonl"'
            return error(400, None, text, param="file")
        return as_json(self.shown[self.add(upload.filename, upload.content, purpose)])

    def _retrieve(self, request: Request, file_id: str) -> Reply:  # noqa: ARG002
        return as_json(self._find(file_id))

    def _delete(self, request: Request, file_id: str) -> Reply:  # noqa: ARG002
        self._find(file_id)
        del self.shown[file_id]
        return as_json({"id": file_id, "object": "file", "deleted": True})

    def _content(self, request: Request, file_id: str) -> Reply:  # noqa: ARG002
        self._find(file_id)
        return Plan(200, (("content-type", "application/octet-stream"),), (self.contents[file_id],))

    def _find(self, name: str) -> dict[str, Any]:
        if name not in self.shown:
            raise Refusal(error(404, None, f"No such File object: {name}", param="id"))
        return self.shown[name]
