"""The manifest: how far the spool is loaded, and the batch that is on its way.

It is written before the first try of a batch and again when all its parts are acknowledged, so a
restart finds either a finished position or the very batch to send again: same range, same decoder
state, hence same rows, under the same tokens. Single acknowledgements are not written: sending an
acknowledged part again under its token changes nothing, and a write costs two fsyncs.
"""

from __future__ import annotations

import os
from pathlib import Path

import google_crc32c
import msgspec

from ib_platform.errors import SpoolError
from ib_platform.marketdata.frames import DECODER_VERSION
from ib_platform.streamer.decode import LADDER_FRAMES, QUOTE_FRAMES, RunDecoder
from ib_platform.streamer.segments import Position, sync_folder

MANIFEST_NAME = "manifest.json"
_VERSION = 1


class DamagedManifestError(SpoolError):
    """What is in the manifest cannot be trusted; ``ib-platform spool repair`` moves it aside."""


class Part(msgspec.Struct, frozen=True):
    """The rows of a batch that go to one table in one insert."""

    table: str
    token: str
    rows: int


class Batch(msgspec.Struct, frozen=True):
    """A batch in flight: the records from the manifest's position to ``end``, one segment."""

    end: Position
    parts: tuple[Part, ...]


class Recovery(msgspec.Struct, frozen=True):
    """``run_id`` ended without saying so; ``announced_in`` is the run whose spool says it."""

    run_id: str
    announced_in: str


class Manifest(msgspec.Struct, frozen=True):
    """Everything before ``position`` is acknowledged by ClickHouse.

    ``decoder``: state at ``position``. ``finished``: runs that are loaded completely and whose
    files may still be there to be deleted. ``position`` None: no run is begun.
    """

    paper_user: str
    position: Position | None = None
    decoder: RunDecoder | None = None
    batch: Batch | None = None
    recovery: Recovery | None = None
    finished: tuple[str, ...] = ()
    version: int = _VERSION


class _File(msgspec.Struct):
    crc32c: int
    manifest: msgspec.Raw


def token_of(table: str, begin: Position, end: Position) -> str:
    """Deduplication token of a part: one token, one content.

    Decoded rows depend on the decoder too; a new decoder sends them under tokens of its own and
    the tables keep the newer version.
    """
    decoded = f"/v{DECODER_VERSION}" if table in (LADDER_FRAMES, QUOTE_FRAMES) else ""
    return f"{begin.run_id}/{begin.segment}:{begin.offset}-{end.offset}/{table}{decoded}"


def load_manifest(folder: Path, paper_user: str) -> Manifest:
    """The manifest of the spool folder, an empty one if it has none.

    Raises:
        SpoolError: damaged (``DamagedManifestError``), newer, or of another paper user. Nothing
            is guessed.
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Manifest(paper_user)
    except OSError as error:
        raise SpoolError(f"{path}: cannot be read ({error})") from error
    try:
        file = msgspec.json.decode(data, type=_File)
        if google_crc32c.value(bytes(file.manifest)) != file.crc32c:
            raise DamagedManifestError(_damaged(path, "its checksum is wrong"))
        version = msgspec.json.decode(file.manifest, type=_Version).version
        if version != _VERSION:
            raise SpoolError(
                f"{path}: manifest version {version}, but this program reads {_VERSION} only. "
                "Use the version of ib_platform that wrote it."
            )
        manifest = msgspec.json.decode(file.manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DamagedManifestError(_damaged(path, str(error))) from error
    if manifest.paper_user != paper_user:
        raise SpoolError(
            f"{path}: belongs to paper user {manifest.paper_user!r}, not {paper_user!r}"
        )
    return manifest


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest atomically and durably. Raises SpoolError; the old one then stays.

    Needs room for a second one: see ``Reserve`` for a disk that is full.
    """
    path = folder / MANIFEST_NAME
    temporary = path.with_suffix(".tmp")
    body = msgspec.json.encode(manifest)
    data = msgspec.json.encode(_File(google_crc32c.value(body), msgspec.Raw(body)))
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(folder)
    except OSError as error:
        raise SpoolError(f"{path}: cannot be written ({error}); nothing was sent") from error


class _Version(msgspec.Struct):
    version: int


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path}: the manifest is damaged ({why}), so it is unknown what is loaded already. Frames "
        "are still being spooled. Restore the file, or stop the streamer and run `ib-platform "
        "spool repair`, which moves it aside: then every segment that is there is loaded from its "
        "beginning, and rows that were loaded before appear twice until the tables' replacing keys "
        "have merged them."
    )
