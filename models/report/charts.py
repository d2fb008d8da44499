"""Charts: where every bar, dot and word of a picture stands; the template draws and escapes them.

Series differ by pattern and place as well as by colour, so that a print in grey says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from huntonce.models.hypothesis import Verdict
from huntonce.models.metrics.trends import Step

WIDTH, HEIGHT = 340.0, 180.0
LEFT, RIGHT, TOP, BOTTOM = 30.0, 16.0, 10.0, 20.0
LINE_FLOOR, BARS_TOP = 62.0, 78.0
"""The line has a panel and a scale of its own above the bars: stock and flow differ in size."""
_NICE = (1, 2, 5)
_TIGHT = 5
"""Most dates below a chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of numbers, one for each span.

    Attributes:
        look: Name of its pattern and colour in the style sheet.
    """

    name: str
    look: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of a chart in its own coordinates."""

    x: float
    y: float
    width: float
    height: float
    look: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A word or a dot at a place."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture, and the table behind it.

    Attributes:
        line: The points of the line, where the chart has one; its last series.
        scale: Numbers beside it, with their height.
        dates: Days below it.
    """

    title: str
    series: tuple[Series, ...]
    spans: tuple[str, ...]
    bars: tuple[Bar, ...]
    line: tuple[Mark, ...]
    scale: tuple[Mark, ...]
    dates: tuple[Mark, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(any(series.values) for series in self.series)


def charts(steps: Sequence[Step]) -> Mapping[str, Chart]:
    """A chart for each of the three outcomes: gaps, detections, findings; none of no time."""
    if not steps:
        return {}
    verdicts = tuple(
        Series(name=name, look=look, values=tuple(s.verdicts.get(v.value, 0) for s in steps))
        for v, name, look in (
            (Verdict.CONFIRMED_MALICIOUS, "found: malicious", "evil"),
            (Verdict.CONFIRMED_BENIGN, "found: benign", "benign"),
            (Verdict.RULED_OUT, "ruled out", "good"),
            (Verdict.INCONCLUSIVE, "inconclusive", "unsure"),
            (Verdict.BLOCKED, "could not look", "stop"),
        )
    )
    return {
        "gaps": _chart(
            "Gaps surfaced and closed, and how many were open",
            steps,
            (
                Series(name="surfaced", look="up", values=tuple(s.surfaced for s in steps)),
                Series(name="closed", look="down", values=tuple(s.closed for s in steps)),
            ),
            Series(name="open at the end", look="line", values=tuple(s.open for s in steps)),
        ),
        "detections": _chart(
            "Detections promoted, and how many were on watch",
            steps,
            (Series(name="promoted", look="up", values=tuple(s.promoted for s in steps)),),
            Series(
                name="on watch at the end", look="line", values=tuple(s.watching for s in steps)
            ),
        ),
        "findings": _chart(
            "What hunts ended with, and the cases opened",
            steps,
            verdicts,
            Series(name="cases opened", look="line", values=tuple(s.opened for s in steps)),
            stacked=True,
        ),
    }


def _chart(
    title: str,
    steps: Sequence[Step],
    series: tuple[Series, ...],
    line: Series,
    *,
    stacked: bool = False,
) -> Chart:
    count = len(steps)
    sums = [sum(s.values[i] for s in series) for i in range(count)]
    tops = sums if stacked else [max(s.values[i] for s in series) for i in range(count)]
    most, highest = _ceiling(max(*tops, 1)), _ceiling(max(*line.values, 1))
    across = (WIDTH - LEFT - RIGHT) / count
    up, line_up = (HEIGHT - BOTTOM - BARS_TOP) / most, (LINE_FLOOR - TOP) / highest
    floor = HEIGHT - BOTTOM
    spans = tuple(_span(step) for step in steps)
    bars = []
    for place in range(count):
        x, y = LEFT + place * across + across * 0.12, floor
        wide = across * 0.76 / (1 if stacked else len(series))
        for one in series:
            tall = one.values[place] * up
            if tall:
                words = f"{spans[place]}: {one.values[place]:,} {one.name}"
                bars.append(
                    Bar(x=x, y=y - tall, width=wide, height=tall, look=one.look, words=words)
                )
            if stacked:
                y -= tall
            else:
                x += wide
    every = -(-count // _TIGHT)
    return Chart(
        title=title,
        series=(*series, line),
        spans=spans,
        bars=tuple(bars),
        line=tuple(
            Mark(
                x=LEFT + (i + 0.5) * across,
                y=LINE_FLOOR - value * line_up,
                words=f"{spans[i]}: {value:,} {line.name}",
            )
            for i, value in enumerate(line.values)
        ),
        scale=(
            *(_tick(LINE_FLOOR, value, line_up) for value in (0, highest)),
            *(_tick(floor, value, up) for value in (0, most)),
        ),
        dates=tuple(
            Mark(x=LEFT + (i + 0.5) * across, y=HEIGHT - 5, words=f"{steps[i].end:%d %b}")
            for i in range(count - 1, -1, -every)
        ),
    )


def _tick(floor: float, value: int, up: float) -> Mark:
    return Mark(x=LEFT - 4, y=floor - value * up, words=f"{value:,}")


def _span(step: Step) -> str:
    if step.end - step.start <= timedelta(days=1):
        return f"{step.end:%Y-%m-%d}"
    return f"{step.start:%Y-%m-%d} to {step.end:%Y-%m-%d}"


def _ceiling(value: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 ... that is not under a value."""
    step = 1
    while True:
        for digit in _NICE:
            if digit * step >= value:
                return digit * step
        step *= 10
