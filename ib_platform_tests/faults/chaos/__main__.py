"""``python -m ib_platform_tests.faults.chaos``: see ``run``."""

from __future__ import annotations

import sys

from ib_platform_tests.faults.chaos.run import main

sys.exit(main())
