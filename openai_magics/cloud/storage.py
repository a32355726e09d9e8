"""A file in the cloud through fsspec: read whole, written whole, told when others change it.

Where the storage can, a file is only written in place of what was read (S3: ``If-Match``);
elsewhere what was written is read again, and what another one wrote meanwhile is united with
it then.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

from openai_magics.cloud.address import Address
from openai_magics.errors import ExtraMissing, MagicsError

__all__ = ["Changed", "CloudError", "Storage"]

TOKENS = ("ETag", "etag", "generation", "mtime", "LastModified", "modified", "created", "updated")
"""What storages call that which changes with each writing."""
DENIED = ("Forbidden", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "401")
CONFLICTS = ("PreconditionFailed", "pre-conditions", "ConditionalRequestConflict", "412")
UNABLE = ("NotImplemented", "501", "unexpected keyword")
LONGEST = 200
RETRIES = 2
"""Tries of one request; that it is tried again later is ours."""


class CloudError(MagicsError):
    """The storage could not be read or written; ``lasting`` where waiting does not help."""

    lasting = False


class Changed(Exception):
    """Another one has written the file since it was read."""


class Storage:
    """One file in the cloud; nothing is imported or asked before the first use."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._fs: Any = None
        self._path = ""
        self.conditional = address.protocol == "s3"

    def read(self, known: str | None = None) -> tuple[bytes | None, str | None]:
        """Return the file's bytes and the token of this state.

        The bytes are ``None`` where there is no file (the token too), and where its token is
        the *known* one.

        Raises
        ------
        CloudError
            It cannot be read.
        """
        try:
            fs = self._opened()
            fs.invalidate_cache()
            token = _token(fs.info(self._path))
            if known is not None and token == known:
                return None, token
            return bytes(fs.cat_file(self._path)), token
        except FileNotFoundError:
            return None, None
        except CloudError:
            raise
        except Exception as error:
            raise self._failed(error, "read") from error

    def write(self, data: bytes, token: str | None) -> str | None:
        """Write the file in place of the state with a *token* (``None``: there is none).

        Raises
        ------
        Changed
            It is in another state now; nothing was written.
        CloudError
            It cannot be written.
        """
        try:
            fs = self._opened()
            given: dict[str, Any] = {}
            if self.conditional:
                given = {"IfMatch": token} if token else {"mode": "create"}
            self._make_folder(fs)
            fs.pipe_file(self._path, data, **given)
            fs.invalidate_cache()
            return _token(fs.info(self._path))
        except CloudError:
            raise
        except Exception as error:
            said = _said(error)
            if self.conditional and (
                isinstance(error, FileExistsError) or any(word in said for word in CONFLICTS)
            ):
                raise Changed from error
            if self.conditional and any(word in said for word in UNABLE):
                self.conditional = False
                return self.write(data, token)
            raise self._failed(error, "written") from error

    def beside(self, address: Address) -> Storage:
        """Return another file of the same storage."""
        return Storage(address)

    def _make_folder(self, fs: Any) -> None:
        """Make the folder where the storage has some; a bucket is never made."""
        if self.address.protocol not in ("s3", "gs") and "/" in self._path.strip("/"):
            fs.makedirs(self._path.rpartition("/")[0], exist_ok=True)

    def _opened(self) -> Any:
        if self._fs is None:
            if importlib.util.find_spec("fsspec") is None:
                raise _missing("cloud", "No module named 'fsspec'")
            import fsspec

            # It says each failure itself, tracebacks and all.
            logging.getLogger("gcsfs").addHandler(logging.NullHandler())
            try:
                kind = fsspec.get_filesystem_class(self.address.protocol)
                url = f"{self.address.protocol}://{self.address.url.partition('://')[2]}"
                self._path = kind._strip_protocol(url)  # noqa: SLF001 - fsspec's own extension point
                self._fs = kind(**kind._get_kwargs_from_urls(url))  # noqa: SLF001
            except ImportError as error:
                raise _missing("cloud", str(error)) from error
            if hasattr(self._fs, "retries"):
                self._fs.retries = RETRIES
        return self._fs

    def _failed(self, error: Exception, what: str) -> CloudError:
        said = _said(error)
        if isinstance(error, PermissionError) or any(word in said for word in DENIED):
            made = CloudError(
                f"{self.address.shown} cannot be {what}: no permission ({said}).",
                "See to the credentials (for s3 AWS_PROFILE or AWS_ACCESS_KEY_ID, for gs "
                "GOOGLE_APPLICATION_CREDENTIALS or gcloud auth application-default login).",
            )
            made.lasting = True
            return made
        if isinstance(error, FileNotFoundError):
            return CloudError(
                f"{self.address.shown} cannot be {what}: there is no such bucket or folder.",
                "Make it, or give another dialogue_log_path.",
            )
        if isinstance(error, ValueError) and "Protocol" in said:
            return CloudError(
                f"{self.address.shown} cannot be {what}: {said}.", "See fsspec for what there is."
            )
        return CloudError(f"{self.address.shown} cannot be {what}: {said}.", "It is tried again.")


def _missing(extra: str, cause: str) -> CloudError:
    told = ExtraMissing("A dialogue file in the cloud", extra, cause)
    made = CloudError(told.problem, told.remedy)
    made.lasting = True
    return made


def _said(error: BaseException) -> str:
    """Return what an error and its cause say, in a line."""
    parts = [str(item) or type(item).__name__ for item in (error, error.__cause__) if item]
    return " ".join(" ".join(dict.fromkeys(parts)).split())[:LONGEST]


def _token(info: Any) -> str | None:
    found = [f"{name}={info[name]}" for name in TOKENS if info.get(name) is not None]
    etag = info.get("ETag")
    if etag is not None:
        return str(etag)
    return f"{info.get('size')} {found[0]}" if found else None
