"""One verification: the warehouse first, then the spools that are on this machine."""

from __future__ import annotations

from contextlib import closing

from ib_platform.config import PlatformConfig
from ib_platform.paths import PodPaths
from ib_platform.verify.spools import compare_spool, stored_rows
from ib_platform.warehouse.connect import connect, warehouse_errors
from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.verify.evidence import SpooledRun
from ib_platform.warehouse.verify.findings import SpoolProof, Verification
from ib_platform.warehouse.verify.read import Reader
from ib_platform.warehouse.verify.verify import conclude


def verify_span(config: PlatformConfig, span: Span, paper_user: str | None = None) -> Verification:
    """Verify a span (ns since 1970) of one paper user, or of all that the record knows.

    Raises:
        ConfigurationError: no such paper user.
        WarehouseError: ClickHouse did not answer, or refused.
    """
    users = config.paper_users if paper_user is None else (config.paper_user(paper_user),)
    chosen = () if paper_user is None else (paper_user,)
    spools: list[SpoolProof] = []
    spooled: dict[str, tuple[str, SpooledRun]] = {}
    with (
        closing(connect(config.clickhouse, role="verify")) as client,
        warehouse_errors(config.clickhouse, "verify"),
    ):
        # Before the spools: a frame that is loaded in between must not count twice.
        evidence = Reader(client, span, chosen).read()
        for user in users:
            folder = PodPaths(config.runtime.state_dir, user.name).spool
            proof, runs = compare_spool(folder, user.name, span, stored_rows(client, user.name))
            spools.append(proof)
            spooled |= {run_id: (user.name, run) for run_id, run in runs.items()}
    return conclude(span, evidence, spooled, spools)
