"""The dialogue file of an address in the cloud: its working copy, and what keeps both the same."""

from __future__ import annotations

from openai_magics.cloud.address import Address
from openai_magics.cloud.sync import Sync
from openai_magics.dialogue import DialogueFile
from openai_magics.errors import DialogueError, OptionError
from openai_magics.exchange import Exchange

__all__ = ["CloudFile", "opened", "sync_of"]


class CloudFile(DialogueFile):
    """A dialogue file whose ``path`` is the working copy of ``sync.address``."""

    def __init__(self, sync: Sync, notebook: str | None, *, fsync: bool = True) -> None:
        super().__init__(sync.address.copy, notebook, fsync=fsync)
        self.sync = sync

    def append(self, *exchanges: Exchange) -> None:
        """Add records to the working copy, as `DialogueFile.append`; they go to the cloud soon."""
        super().append(*exchanges)
        self.sync.soon()

    def close(self) -> None:
        """Bring what is not in the cloud yet there, and stop."""
        self.sync.end()


def opened(address: Address, notebook: str | None = None, *, fsync: bool, mode: str) -> CloudFile:
    """Return the dialogue file of an address, brought together with the one in the cloud.

    In ``replay`` mode the cloud is looked at only where there is no working copy yet.

    Raises
    ------
    DialogueError
        The folder of the working copy cannot be made.
    """
    try:
        address.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DialogueError(
            address.copy,
            f"The folder of the working copy {address.copy} cannot be made: {error.strerror}.",
            "See to the permissions of the user's data folder.",
        ) from error
    made = CloudFile(Sync(address), notebook, fsync=fsync)
    if mode != "replay" or not address.copy.exists():
        len(made)  # a crash may have cut its end off: it is mended first
        made.sync.begin()
    return made


def sync_of(file: DialogueFile) -> Sync:
    """Return what keeps a dialogue file and the cloud the same.

    Raises
    ------
    OptionError
        It is kept on this machine only.
    """
    if not isinstance(file, CloudFile):
        raise OptionError(
            f"The dialogue is kept on this machine only, in {file.path}.",
            'To keep it in the cloud: %config OpenAIMagics.dialogue = "gs://bucket/a.dialogue.json"',
        )
    return file.sync
