"""Small JSON files beside the spool that a crash leaves whole: the old content or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


def replace_json(file: Path, content: object) -> None:
    """Replace ``file`` atomically; the folder is made if missing. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        stream.write(msgspec.json.encode(content))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
