"""What a streamer imports when: pandas never, and what its threads need before they are there.

pyarrow imports pandas, where it is installed (chdb brings it), only to recognise its objects: 50 MB
that a streamer never uses. A finder that refuses the import makes pyarrow go without. A None in
``sys.modules`` would not do: compiled code takes it for the module itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

UNWANTED = "pandas"
_FOR_THREADS = ("pyarrow", "clickhouse_connect")


class _Refuse(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == UNWANTED:
            raise ModuleNotFoundError(f"{name} is kept out of the streamer", name=name)
        return None


def keep_pandas_out() -> None:
    """From now on ``import pandas`` fails in this process, unless it was imported before."""
    if not any(isinstance(finder, _Refuse) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Refuse())


def import_for_threads() -> None:
    """What the threads will need, before there are any: several imports at a time hold the
    interpreter for so long that the frames of the first seconds would be stamped late."""
    for name in _FOR_THREADS:
        importlib.import_module(name)
