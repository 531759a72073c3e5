"""The figures by which a synthetic ladder is compared with the recorded one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.ladder_samples import Samples


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie; nan of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _share(values: Sequence[float], wanted: Callable[[float], bool]) -> float:
    return mean([float(wanted(value)) for value in values])


def figures(samples: Samples) -> dict[str, float]:
    """The figures that a synthetic stream is compared by, under the names that are printed."""
    s = samples
    minutes = s.watched / 60 or float("nan")
    return {
        "rows per frame: median": quantile(s.rows, 0.5),
        "rows per frame: p90": quantile(s.rows, 0.9),
        "rows per frame: mean": mean(s.rows),
        "rows per frame: share of 18 or more": _share(s.rows, lambda n: n >= 18),
        "between frames, s: median": quantile(s.gaps, 0.5),
        "between frames, s: p90": quantile(s.gaps, 0.9),
        "between frames, s: mean": mean(s.gaps),
        "request to full frame, s: p10": quantile(s.answer_delays, 0.1),
        "request to full frame, s: median": quantile(s.answer_delays, 0.5),
        "request to full frame, s: p90": quantile(s.answer_delays, 0.9),
        "sizes in a requested full frame: mean": mean(s.sizes_in_answers),
        "full frame to depth, s: p10": quantile(s.depth_delays, 0.1),
        "full frame to depth, s: median": quantile(s.depth_delays, 0.5),
        "full frame to depth, s: p90": quantile(s.depth_delays, 0.9),
        "life of a window, s: median": quantile(s.window_lives, 0.5),
        "life of a window, s: p90": quantile(s.window_lives, 0.9),
        "share of full frames": s.full_frames / s.frames if s.frames else float("nan"),
        "share of unasked full frames": s.unsolicited / s.frames if s.frames else float("nan"),
        "share of frames of 18 to 20 rows": s.almost_full / s.frames if s.frames else float("nan"),
        "last price: moves a minute": len(s.last_moves) / minutes,
        "last price: ticks a move, mean": mean(s.last_moves),
        "last price: share of one-tick moves": _share(s.last_moves, lambda n: n == 1),
        "visible trades a minute": s.trades_seen / minutes,
        "last size: median": quantile(s.last_sizes, 0.5),
        "last size: mean": mean(s.last_sizes),
        "size at the touch: median": quantile(s.touch_sizes, 0.5),
        "size at the touch: p90": quantile(s.touch_sizes, 0.9),
        "size of deeper levels: median": quantile(s.deep_sizes, 0.5),
        "size of deeper levels: p90": quantile(s.deep_sizes, 0.9),
        "change of a size: median": quantile(s.size_steps, 0.5),
        "spread: share of one tick": _share(s.spreads, lambda n: n == 1),
        "touch: moves of the mid a minute": 60 * s.mid_moves / s.touched
        if s.touched
        else float("nan"),
        "crossed or locked states": float(s.crossed),
    }
