"""A small coverage-guided fuzzer: what an input runs of our own code decides whether it is kept.

Pure Python. The lines that follow one another in our files (an edge is a pair of them, in one
function) are recorded by ``sys.settrace``, which all supported versions have. An input that shows
an edge, or a new order of magnitude of how often one is taken, joins the corpus and is mutated
further. A finding is an exception that the target does not expect, or an input that takes longer
than ``HANG_SECONDS`` (in C code that never looks at signals only the watcher of the run sees it).
"""

import hashlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.mutate import mutated, shorter

ROOT = Path(__file__).resolve().parents[2]
HANG_SECONDS = 10.0
MAX_INPUT = 64 * 1024
# The tests import the same files through links in .typing.
_OURS = tuple(str(ROOT / part) for part in ("models", "connectors", "flows", "cli", ".typing"))
_MOST_KEPT = 4_000
_SHRINK_SECONDS = 5.0


class HangError(BaseException):
    """An input took too long. Not an ``Exception``: no handler of the target's may eat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser under attack.

    Attributes:
        run: Takes one input. Whatever it raises but ``expected`` is a finding; it asserts what
            must hold around a bad input.
        seeds: Sound inputs, made by our own generators.
        expected: The errors that bad input may end in.
        words: Pieces that the format knows, thrown in by the mutations.
        structured: The inputs are JSON, and are also changed as values.
    """

    name: str
    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    expected: tuple[type[BaseException], ...] = ()
    words: tuple[bytes, ...] = ()
    structured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An input that broke a target, made as short as it could be made in a few seconds."""

    data: bytes
    what: str
    trace: str


@dataclass(slots=True, kw_only=True)
class Campaign:
    """What a run over one target did."""

    target: str
    inputs: int = 0
    edges: int = 0
    corpus: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


class Coverage:
    """Edges of our own files, gathered while an input runs."""

    def __init__(self) -> None:
        self.hits: dict[tuple[int, int, int], int] = {}
        self._ours: dict[CodeType, int] = {}

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather anew until the block ends."""
        self.hits = {}
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)

    def signature(self) -> set[tuple[int, int, int, int]]:
        """Each edge with the order of magnitude of how often it was taken."""
        return {(*edge, count.bit_length()) for edge, count in self.hits.items()}

    def _call(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        number = self._ours.get(code)
        if number is None:
            ours = code.co_filename.startswith(_OURS)
            number = self._ours[code] = len(self._ours) + 1 if ours else 0
        if not number or event != "call":
            return None
        hits, last = self.hits, 0

        def line(frame: FrameType, event: str, _: object) -> Any:
            nonlocal last
            if event == "line":
                edge = (number, last, frame.f_lineno)
                hits[edge] = hits.get(edge, 0) + 1
                last = frame.f_lineno
            return line

        return line


def fuzz(target: Target, *, seconds: float, seed: int = 0, most: int = 0) -> Campaign:
    """Attack a target for some seconds, or with ``most`` inputs, whichever ends first."""
    rng = random.Random(f"{target.name} {seed}")  # noqa: S311 - the dice of a test
    coverage, campaign = Coverage(), Campaign(target=target.name)
    seen: set[tuple[int, int, int, int]] = set()
    broken: set[str] = set()
    corpus: list[bytes] = []

    def attempt(data: bytes) -> None:
        campaign.inputs += 1
        finding = _broken(target, data, coverage)
        if finding is not None:
            if finding.what not in broken:
                broken.add(finding.what)
                campaign.findings.append(_shrunk(target, finding, coverage))
            return
        found = coverage.signature()
        if not found <= seen and len(corpus) < _MOST_KEPT:
            seen.update(found)
            corpus.append(data)

    for data in target.seeds():
        attempt(data)
    given = list(target.seeds())
    started = time.monotonic()  # after the seeds: the first use imports and compiles
    while time.monotonic() - started < seconds and (not most or campaign.inputs < most):
        # The newest inputs are on the way to somewhere; the oldest are the sound ones.
        pool = corpus or given
        first = rng.choice(pool[-50:] if rng.random() < 0.5 else pool)
        attempt(
            mutated(first, rng, rng.choice(pool), target.words, structured=target.structured)[
                :MAX_INPUT
            ]
        )
    campaign.seconds = time.monotonic() - started
    campaign.corpus = len(corpus)
    campaign.edges = len({edge[:3] for edge in seen})
    return campaign


def _broken(target: Target, data: bytes, coverage: Coverage) -> Finding | None:
    """What the input broke; None where it broke nothing."""
    try:
        with _at_most(HANG_SECONDS), coverage.gathering():
            target.run(data)
    except target.expected:
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a Rust library is no Exception
        return Finding(data=data, what=_what(error), trace=traceback.format_exc(limit=-12))
    return None


def _what(error: BaseException) -> str:
    """The kind of fault and where it came up: two inputs with the same are one finding."""
    places = [
        f"{Path(frame.filename).name}:{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(_OURS)
    ]
    return f"{type(error).__name__} in {places[-1] if places else 'the target'}"


def _shrunk(target: Target, finding: Finding, coverage: Coverage) -> Finding:
    best, until = finding, time.monotonic() + _SHRINK_SECONDS
    for size in (4096, 1024, 256, 64, 16, 4, 1):
        again = True
        while again and time.monotonic() < until:
            again = False
            for data in shorter(best.data, size):
                if time.monotonic() > until:
                    break
                found = _broken(target, data, coverage)
                if found is not None and found.what == best.what:
                    best, again = found, True
                    break
    return best


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def late(_: int, __: FrameType | None) -> None:
        raise HangError(f"it took longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def name_of(finding: Finding) -> str:
    """A file name for a finding, the same for the same input."""
    return hashlib.sha256(finding.data).hexdigest()[:16]
