"""Kinds of faults of what frames hold: rows of ladders, and messages nobody expects."""

from __future__ import annotations

from ib_platform.simulator.fault_spec import FaultKind, FaultSpec, Parameter, Specs, Subject

_CONTENT, _FRAMES = Subject.CONTENT, Subject.FRAMES

SPECS: Specs = {
    FaultKind.DUPLICATED_ROWS: FaultSpec(
        _CONTENT,
        "also",
        "Some rows come twice in one ladder frame.",
        "IBKR's own example of a ladder repeats a row; the last one counts.",
        by_symbol=True,
    ),
    FaultKind.REORDERED_ROWS: FaultSpec(
        _CONTENT,
        "also",
        "The rows of a frame come in any order.",
        "Nothing says that rows are sorted; `row` tells where they belong.",
        by_symbol=True,
    ),
    FaultKind.CROSSED_BOOK: FaultSpec(
        _CONTENT,
        "also",
        "Every ladder frame shows a bid above the best ask, or an ask below the best bid.",
        "Not one of 1,524 recorded states is crossed. If it comes, something is wrong that a "
        "record should mark and not repair.",
        by_symbol=True,
    ),
    FaultKind.RELAID_WINDOW: FaultSpec(
        _CONTENT,
        "also",
        "Open ladders send an unsolicited full frame: a new window around the last trade.",
        "The price has walked away from the window's middle. Nothing of the old window counts.",
        instant=True,
        by_symbol=True,
    ),
    FaultKind.LAID_AROUND_ZERO: FaultSpec(
        _CONTENT,
        "observed",
        "Ladders that are asked for meanwhile are first laid around price 0, and re-priced later.",
        "A ladder was asked for before IBKR knew a price; it is re-priced by a frame of fewer "
        "than 21 rows.",
        by_symbol=True,
    ),
    FaultKind.NUMERIC_VALUES: FaultSpec(
        _CONTENT,
        "also",
        "Prices and sizes are JSON numbers instead of strings.",
        "IBKR's guide of 2021 shows numbers; the recorded frames have strings.",
        by_symbol=True,
    ),
    FaultKind.DUPLICATED_FRAMES: FaultSpec(
        _FRAMES,
        "also",
        "Every quote and ladder frame comes twice.",
        "The first frame of a quote often comes twice at IBKR; of others it is not known.",
        by_symbol=True,
    ),
    FaultKind.UNKNOWN_TOPIC: FaultSpec(
        _FRAMES,
        "also",
        "A frame with a topic that nobody knows.",
        "IBKR adds topics without notice.",
        instant=True,
    ),
    FaultKind.ECHO_TEXT: FaultSpec(
        _FRAMES,
        "also",
        "The text `ech+hb`, which is not JSON.",
        "The answer to an old keep-alive: the only message that no JSON parser takes.",
        instant=True,
    ),
    FaultKind.TRUNCATED_JSON: FaultSpec(
        _FRAMES,
        "also",
        "Quote and ladder frames end in the middle.",
        "Not seen at IBKR; what is cut anywhere on the way must not take a client down.",
        by_symbol=True,
    ),
    FaultKind.GIANT_FRAME: FaultSpec(
        _FRAMES,
        "also",
        "A bulletin (blt) of a given size.",
        "Not seen at IBKR. Client libraries refuse frames above a limit by closing the websocket.",
        instant=True,
        parameters={"bytes": Parameter(1_000_000, "size of the frame", least=1, most=64_000_000)},
    ),
    FaultKind.NOTIFICATION: FaultSpec(
        _FRAMES,
        "also",
        "A message for people: a notification (ntf) or a bulletin (blt).",
        "IBKR announces maintenance, exchange trouble and problems of the account so.",
        instant=True,
        parameters={
            "topic": Parameter("ntf", "topic", ("ntf", "blt")),
            "text": Parameter("a notification of the simulator", "what it says"),
        },
    ),
}
