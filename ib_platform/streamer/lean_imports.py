"""Keep pandas out of the streamer's memory.

pyarrow imports pandas, where it is installed (chdb brings it), only to recognise its objects: 50 MB
that a streamer never uses. A finder that refuses the import makes pyarrow go without. A None in
``sys.modules`` would not do: compiled code takes it for the module itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

UNWANTED = "pandas"


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
