"""``ib-platform record``: from a proven paper login to a closed capture file."""

from __future__ import annotations

import asyncio
import platform
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from ib_platform import __version__
from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_file import require_new
from ib_platform.ibkr.capture_format import Header
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.marketdata.quotes import QUOTE_FIELDS
from ib_platform.paths import PodPaths
from ib_platform.recorder.client import ALONE, BESIDE_A_POD, RecordingClient
from ib_platform.recorder.experiments import TWO_CONTRACTS, Experiment, Times, carry_out
from ib_platform.recorder.masking import Masker
from ib_platform.recorder.questions import RecordedContract, ask_facts, prove_paper, wanted_keys
from ib_platform.recorder.recording import Recording
from ib_platform.recorder.stage import LiveStage, Upkeep
from ib_platform.recorder.target import Target

DEFAULT_FIELDS = ("55", *QUOTE_FIELDS)
_FLUSH_EVERY = 0.5


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class RecordOptions:
    """``seconds``: how long after the first request; None = until told to end, or until the
    experiments are done. ``symbols`` empty: the contracts of the paper user. ``share``: REST calls
    a second; None = few beside a pod, more at a gateway that ``url`` names. ``poll``: seconds until
    an answer that was not there yet is asked for again."""

    out: Path
    seconds: float | None = None
    symbols: tuple[str, ...] = ()
    fields: tuple[str, ...] = DEFAULT_FIELDS
    url: str | None = None
    certificate: Path | None = None
    experiments: tuple[Experiment, ...] = ()
    times: Times = field(default_factory=Times)
    share: int | None = None
    poll: float = 1.0


def run(config: PlatformConfig, paper_user: str, options: RecordOptions) -> None:
    """Record until it is over, or SIGINT or SIGTERM. Prints what it does.

    Raises:
        ConfigurationError: the file is there already, or a name is wrong.
        LiveAccountError: the login is not provably paper; no file was made.
        GatewayError: the gateway gave no usable answer.
        PlatformError: the disk does not take the file.
    """
    asyncio.run(_with_signals(config, paper_user, options))


async def _with_signals(config: PlatformConfig, paper_user: str, options: RecordOptions) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await record(config, paper_user, options, stopping)


async def record(
    config: PlatformConfig,
    paper_user: str,
    options: RecordOptions,
    stopping: asyncio.Event,
    say: Callable[[str], None] = _say,
) -> None:
    """Like ``run``; ends cleanly when ``stopping`` is set."""
    user = config.paper_user(paper_user)
    require_new(options.out)
    keys = wanted_keys(config, paper_user, options.symbols)
    if TWO_CONTRACTS.intersection(options.experiments) and len(keys) < 2:
        raise ConfigurationError(
            f"{', '.join(sorted(TWO_CONTRACTS & set(options.experiments)))} needs two contracts; "
            "name them with --symbols, like --symbols CL,ES"
        )
    target = Target.of(config, user, options.url, options.certificate)
    recording = Recording(Masker(user.account, user.username))
    share = options.share or (BESIDE_A_POD if options.url is None else ALONE)
    ledger = PodPaths(config.runtime.state_dir, paper_user).pacing
    async with RecordingClient(
        target.port, target.tls(), recording, ledger=ledger, share=share
    ) as client:
        job = _Job(config, user, keys, options, client, recording, say)
        reason = "an error ended it"
        try:
            reason = await _first_of(job.run(), stopping, recording)
        finally:
            recording.note("end", reason, **recording.counts)
            recording.close()
    if recording.is_open:
        say(f"{options.out}: {summary(recording.counts)}")


async def _first_of(
    job: Coroutine[None, None, str], stopping: asyncio.Event, recording: Recording
) -> str:
    """Why it is over: the job is done, or it was told to end. Everything that came meanwhile is
    handed to the disk twice a second."""
    working = asyncio.create_task(job)
    told = asyncio.create_task(stopping.wait())
    flushing = asyncio.create_task(_flush(recording))
    tasks: list[asyncio.Task[Any]] = [working, told, flushing]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if (error := task.exception()) is not None:
            raise error
    return working.result() if working in done else "told to end"


async def _flush(recording: Recording) -> None:
    while True:
        await asyncio.sleep(_FLUSH_EVERY)
        recording.flush()


@dataclass(frozen=True)
class _Job:
    """Everything between the first question and the last message."""

    config: PlatformConfig
    user: PaperUser
    keys: tuple[str, ...]
    options: RecordOptions
    client: RecordingClient
    recording: Recording
    say: Callable[[str], None]

    async def run(self) -> str:
        """Do it; in words, why it is over."""
        session = await prove_paper(
            self.client, self.user, self.recording.masker, self.options.poll
        )
        self.recording.open(self.options.out, self._header())
        contracts = await ask_facts(self.client, self.keys, self.options.fields, self.options.poll)
        what = ", ".join(f"{contract.key} {contract.conid}" for contract in contracts)
        self.say(f"recording {what} into {self.options.out}")
        self._note_contracts(contracts)
        stage = LiveStage(
            self.client,
            self.recording,
            self.user,
            session,
            (contract.conid for contract in contracts),
            self.options.fields,
            self._upkeep(),
        )
        keeping = asyncio.create_task(stage.keep_up())
        playing = asyncio.create_task(self._program(stage))
        try:
            done, _ = await asyncio.wait({keeping, playing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            playing.cancel()
            await stage.leave()
            keeping.cancel()
            await asyncio.gather(playing, keeping, return_exceptions=True)
        return playing.result()

    async def _program(self, stage: LiveStage) -> str:
        """Experiments first, then everything until the time is over."""
        await stage.ready.wait()
        try:
            async with asyncio.timeout(self.options.seconds):
                for experiment in self.options.experiments:
                    await self._experiment(experiment, stage)
                if self.options.experiments and self.options.seconds is None:
                    return "the experiments are done"
                with suppress(GatewayCallError):
                    await stage.subscribe_ladders()
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        return "the time is over"

    async def _experiment(self, experiment: Experiment, stage: LiveStage) -> None:
        self.recording.note(f"experiment.{experiment}.begins")
        try:
            finding = await carry_out(experiment, stage, self.options.times)
        except GatewayCallError as error:
            self.recording.note(f"experiment.{experiment}", str(error), verdict="interrupted")
            self.say(f"experiment {experiment}: interrupted, {error}")
            return
        data: dict[str, Any] = {"verdict": finding.verdict, **finding.data}
        self.recording.note(f"experiment.{experiment}", "", **data)
        counts = ", ".join(f"{name} {value}" for name, value in finding.data.items())
        self.say(f"experiment {experiment}: {finding.verdict} ({counts})")

    def _upkeep(self) -> Upkeep:
        """Quotes end by themselves while the end of things is what is looked for."""
        watching_the_end = Experiment.EXPIRY in self.options.experiments
        return Upkeep(renew_quotes_every=None) if watching_the_end else Upkeep()

    def _header(self) -> Header:
        masker, user = self.recording.masker, self.user
        by_hand = self.options.url is not None
        return Header(
            recorded_at=self.recording.clocks.utc(),
            programs={
                "ib_platform": __version__,
                "python": platform.python_version(),
                "aiohttp": aiohttp.__version__,
            },
            gateway="named by --url" if by_hand else self.config.gateway.program,
            account=masker.text(user.account),
            username=masker.text(user.username),
            products=tuple(dict.fromkeys(key.split(".")[0] for key in self.keys)),
        )

    def _note_contracts(self, contracts: tuple[RecordedContract, ...]) -> None:
        for contract in contracts:
            self.recording.note("contract", key=contract.key, conid=contract.conid)


def summary(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['in']} messages in, {counts['out']} out, {counts['rest']} REST calls, "
        f"{counts['note']} notes"
    )
