"""The parsers that we own, each with what must hold whatever it is given."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml
from psycopg import sql

from huntonce.connectors.http.client import Limits
from huntonce.connectors.intel.batch import Intake
from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.connectors.intel.patterns import pattern_fault
from huntonce.connectors.intel.scan import scan
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.intel.taxii_server.adding import BadEnvelopeError, add_envelope
from huntonce.connectors.intel.taxii_server.query import parse_query
from huntonce.connectors.intel.taxii_server.store import TaxiiStore
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.reading import Piece, originals
from huntonce.connectors.siem.lake.shapes import clock_sample, normalise
from huntonce.connectors.siem.lake.staging import Stager
from huntonce.connectors.siem.opensearch.dsl import bounds
from huntonce.connectors.siem.opensearch.fields import Resolved
from huntonce.connectors.siem.warehouse.narrowing import Columns, candidates
from huntonce.connectors.sigma.ir import decode
from huntonce.connectors.sigma.logsource import Variant
from huntonce.connectors.sigma.reading import compile_text
from huntonce.connectors.sigma.received import read_rule
from huntonce.connectors.sigma.rules import validate_rule
from huntonce.connectors.sigma.stix_patterns import compile_pattern, parse_pattern
from huntonce.flows.settings import load_settings
from huntonce.models.analytics.commandline import redacted, registered_task, split_action, tokens
from huntonce.models.content import check_hunt
from huntonce.models.content_hunts import hunt_of
from huntonce.models.errors import DomainError, HuntonceError
from huntonce.models.huntexchange.draft import imported
from huntonce.models.huntexchange.huntmd import from_huntmd
from huntonce.models.huntexchange.misp import from_misp, to_misp
from huntonce.models.taskxml import parse_task
from huntonce.models.tlp import Tlp
from tests.fuzz import seeds
from tests.fuzz.engine import Target

_COLLECTION = "00000000-0000-4000-8000-000000000001"
_MOST_REQUESTS = 200
_HEADERS = ("X-TAXII-Date-Added-Last", "Retry-After", "Date", "Content-Type")
_GOOD = seeds.shapes()[0]
_FIRST = _GOOD.replace(b"ws1", b"before")
_LAST = _GOOD.replace(b"ws1", b"after")


def _event(data: bytes) -> None:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if isinstance(document, dict):
        clock_sample(document)
    event = normalise(document)
    assert all(type(value) is str for value in event.fields.values())
    assert event.host
    assert event.channel


def _line_among_good_ones(data: bytes) -> None:
    """One bad line: those before and after it are loaded."""
    if b"\n" in data or not data.strip():
        return
    hosts = _staged(b"\n".join((_FIRST, data, _LAST)) + b"\n", ".jsonl")
    assert {"BEFORE", "AFTER"} <= hosts, f"lost: {hosts}"


def _file(data: bytes) -> None:
    _staged(data, ".bin")


def _staged(data: bytes, ending: str) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{ending}"
        path.write_bytes(data)
        stager = Stager(Path(folder) / "staged")
        stager.stage(Piece(path), None)
        hosts = {row.event.host for rows in stager._rows.values() for row in rows}
        stager.flush()
        return hosts


def _task(data: bytes) -> None:
    parse_task(data.decode("utf-8", "replace"))


def _stix(data: bytes) -> None:
    """One object between two sound ones: both are taken."""
    first, last = (json.dumps(one).encode() for one in seeds.stix_objects()[:2])
    intake = Intake("fuzz", Tlp.AMBER)
    objects, refused = intake.take([first, data, last])
    ids = [one.id for one in objects]
    assert ids[0] == json.loads(first)["id"]
    assert ids[-1] == json.loads(last)["id"]
    assert len(refused) <= 1
    assert len(objects) > 2 or refused


def _bundle(data: bytes) -> None:
    document = scan(data)
    Intake("fuzz", Tlp.AMBER).take(document.objects)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_bytes(data)
        for batch in BundleFiles(name="fuzz", paths=(path,), default_tlp=Tlp.AMBER).pull(None):
            assert batch is not None


def _pattern(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    pattern_fault(text)
    compile_pattern(parse_pattern(text))


def _paging(data: bytes) -> None:
    """A server whose answers are the input, one after the other and again from the first."""
    answers = data.split(b"\x00\x00") or [b""]
    asked = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        text = answers[asked % len(answers)]
        asked += 1
        assert asked < _MOST_REQUESTS, "the pull does not end"
        head, _, body = text.partition(b"\n")
        fields = head.decode("latin-1").split("|")
        status = int(fields[0]) if fields[0].isascii() and fields[0].isdigit() else 200
        headers = {}
        for name, value in zip(
            ("X-TAXII-Date-Added-Last", "Retry-After", "Date", "Content-Type"),
            fields[1:],
            strict=False,
        ):
            if value.isprintable() and value.isascii():
                headers[name] = value.strip()
        return httpx.Response(min(max(status, 200), 599), headers=headers, content=body)

    source = TaxiiSource(
        name="fuzz",
        collection_url="https://taxii.example/root/collections/1/",
        transport=httpx.MockTransport(answer),
        sleep=lambda _: None,
        limits=Limits(max_body=1024 * 1024),
    )
    for batch in source.pull(None):
        assert batch is not None


def _paging_seeds() -> list[bytes]:
    first, second = (json.dumps(one).encode() for one in seeds.stix_objects()[:2])
    stamp = b"2026-01-01T00:00:00.000001Z"
    date = b"Thu, 01 Jan 2026 00:00:00 GMT"
    more = b'{"more": true, "next": "t1", "objects": [' + first + b"]}"
    last = b'{"more": false, "objects": [' + second + b"]}"
    manifest = b'{"objects": [{"id": "x", "date_added": "2026-01-01T00:00:00Z", "version": "1"}]}'
    return [
        b"200|" + stamp + b"||" + date + b"\n" + more + b"\x00\x00200|" + stamp + b"\n" + last,
        b"200|" + stamp + b"\n" + more.replace(b'"next": "t1", ', b"") + b"\x00\x00200|\n{}",
        b"429||5\n\x00\x00413|\n\x00\x00200|" + stamp + b"\n" + last,
        b"200|2027-01-01T00:00:00Z||" + date + b"\n" + more + b"\x00\x00200|\n" + manifest,
        b"302|\n\x00\x00404|\n\x00\x00500|\n",
    ]


@contextlib.contextmanager
def _taxii_store() -> Iterator[TaxiiStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = TaxiiStore(f"sqlite:///{folder}/taxii.db")
        try:
            yield store
        finally:
            store.close()


def _envelope(data: bytes) -> None:
    with _taxii_store() as store:
        status = orjson.loads(add_envelope(store, _COLLECTION, "u", data))
        assert status["total_count"] == len(scan(data).objects)
        query = parse_query([("match[version]", "all")], page_limit=1000)
        held = len(store.page(_COLLECTION, query).rows)
        assert held <= status["success_count"]


def _query(data: bytes) -> None:
    pairs = [part.partition("=")[::2] for part in data.decode("utf-8", "replace").split("&")]
    query = parse_query(pairs, page_limit=1000)
    with _taxii_store() as store:
        store.page(_COLLECTION, query)


def _hunt_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yml"
        path.write_bytes(data)
        check_hunt(path)


def _exchanged(read: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        imported(read(data), "T1053.005")

    return run


def _rule(data: bytes) -> None:
    """Read, and told to each engine: what it makes is a query or a refusal."""
    text = data.decode("utf-8", "replace")
    read_rule(text)
    for document in compile_text(text, "fuzz", {}):
        assert document["kind"] in {"rule", "filter", "correlation", "fault"}
        if "form" not in document:
            continue
        condition = decode(orjson.loads(document["form"]))
        bounds(condition, lambda _: Resolved(own=()))
        columns = Columns(text=sql.Identifier("t"), event_id=sql.Identifier("e"))
        made = candidates(condition, Variant(), columns)
        if not isinstance(made, bool):
            made.as_string(None)


def _validated(data: bytes) -> None:
    validate_rule(data.decode("utf-8", "replace"))


def _settings(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "huntonce.toml").write_bytes(data)
        load_settings(Path(folder))


def _command_line(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    tokens(text)
    registered_task(text)
    split_action(text)
    hidden = redacted(text)
    assert len(hidden) <= 4 * len(text) + 64


def _evtx(data: bytes) -> None:
    """Whatever follows the magic: told or read, never a panic of the library."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.evtx"
        path.write_bytes(b"ElfFile\x00" + data)
        for _ in originals(Piece(path), lambda *_: None):
            pass


def _evtx_seeds() -> list[bytes]:
    """A header and a chunk with one record whose content is none: the library looks into it."""
    header = bytearray(4096)
    header[0:8] = b"ElfFile\x00"
    header[16:24] = (1).to_bytes(8, "little")
    header[32:36] = (128).to_bytes(4, "little")
    header[36:42] = b"\x01\x00\x03\x00\x00\x10"
    header[42:44] = (1).to_bytes(2, "little")
    chunk = bytearray(65536)
    chunk[0:8] = b"ElfChnk\x00"
    for at in (8, 16, 24, 32):
        chunk[at : at + 8] = (1).to_bytes(8, "little")
    chunk[40:44] = (128).to_bytes(4, "little")
    record = bytearray(64)
    record[0:8] = b"**\x00\x00" + (64).to_bytes(4, "little")
    record[8:16] = (1).to_bytes(8, "little")
    record[24:44] = b"\x0f\x01\x01\x00\x0c" + bytes(15)
    record[60:64] = (64).to_bytes(4, "little")
    chunk[512:576] = record
    chunk[44:48] = (512).to_bytes(4, "little")
    chunk[48:52] = (576).to_bytes(4, "little")
    return [bytes(header[8:] + chunk[:2048]), bytes(header[8:]), bytes(header[8:100])]


def _misp_seeds() -> list[bytes]:
    return [orjson.dumps(to_misp(hunt_of(seeds.HUNT)))]


def _as_json(*documents: Any) -> list[bytes]:
    return [json.dumps(one).encode() for one in documents]


def _as_yaml(*documents: Any) -> list[bytes]:
    return [yaml.safe_dump(one).encode() for one in documents]


_WITHIN = (NotAnEventError, orjson.JSONDecodeError, OverflowError)
TARGETS: tuple[Target, ...] = (
    Target(
        name="event",
        run=_event,
        seeds=lambda: [*seeds.shapes(), *seeds.lab_records()],
        expected=_WITHIN,  # what the loader sets aside
        words=(b"#text", b"@Name", b"#attributes", b"EventID", b"_source", b"&lt;Task"),
        structured=True,
    ),
    Target(
        name="line-among-good-ones",
        run=_line_among_good_ones,
        seeds=lambda: [*seeds.shapes(), *seeds.lab_records(10)],
        words=(b"Events", b'{"hits":{"hits":[', b"TaskContent"),
        structured=True,
    ),
    Target(
        name="telemetry-file", run=_file, seeds=seeds.telemetry, words=(b"PK\x03\x04", b"\x1f\x8b")
    ),
    Target(
        name="evtx",
        run=_evtx,
        seeds=_evtx_seeds,
        words=(b"ElfChnk\x00", b"**\x00\x00", b"\x0f\x01"),
    ),
    Target(
        name="task-xml",
        run=_task,
        seeds=lambda: [seeds.TASK.encode(), seeds.TASK.replace("<", "&lt;").encode()],
        expected=(DomainError,),
        words=(
            b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
            b"&a;",
            b"<![CDATA[",
            b"<x>" * 50,
            b"<?x",
            b"xmlns=",
        ),
    ),
    Target(
        name="stix-object",
        run=_stix,
        seeds=lambda: _as_json(*seeds.stix_objects()),
        words=(b"marking-definition--", b"2.0", b"modified", b"objects", b"granular_markings"),
        structured=True,
    ),
    Target(
        name="stix-bundle",
        run=_bundle,
        seeds=lambda: [seeds.bundle(), b'{"type":"bundle","objects":[]}'],
        expected=(HuntonceError,),
        words=(b'"objects":[', b"}, {"),
    ),
    Target(
        name="stix-pattern",
        run=_pattern,
        seeds=lambda: [text.encode() for text in seeds.PATTERNS],
        expected=(DomainError,),
        words=(
            b" AND ",
            b" OR ",
            b"[",
            b"]",
            b"NOT ",
            b" MATCHES '(a+)+$'",
            b"(",
            b"'",
            b"[*]",
            b" IN (",
        ),
    ),
    Target(
        name="taxii-paging",
        run=_paging,
        seeds=_paging_seeds,
        expected=(HuntonceError,),
        words=(
            b'"more": true',
            b'"next": "t2"',
            b"\x00\x00",
            b"200|",
            b"413|",
            b"503|",
            b'"objects": [],',
        ),
    ),
    Target(
        name="taxii-envelope",
        run=_envelope,
        seeds=lambda: [seeds.bundle().replace(b'"type": "bundle", ', b"", 1), b'{"objects": []}'],
        expected=(BadEnvelopeError,),
        words=(b"modified", b"created"),
        structured=True,
    ),
    Target(
        name="taxii-query",
        run=_query,
        seeds=lambda: [
            b"added_after=2026-01-01T00:00:00Z&limit=5&match[type]=a,b",
            b"match[version]=all&match[spec_version]=2.1&next=MjAyNi0wMS0wMVQwMDowMDowMC4wMDAwMDFa",
            b"match[id]=file--00000000-0000-4000-8000-000000000001&match[version]=2026-01-01T00:00:00Z",
        ],
        expected=(DomainError,),
        words=(b"match[version]=", b"&", b",", b"limit=", b"next=", b"' OR 1=1 --"),
    ),
    Target(
        name="hunt-file",
        run=_hunt_file,
        seeds=lambda: [*_as_json(seeds.HUNT), *_as_yaml(seeds.HUNT)],
        expected=(DomainError,),
        words=(
            b"&a ",
            b"*a",
            b"!!python/object:os.system",
            b"(a+)+$",
            b"{action.__class__}",
            b"? ",
        ),
        structured=True,
    ),
    Target(
        name="hunt-md",
        run=_exchanged(from_huntmd),
        seeds=lambda: [seeds.HUNT_MD.encode()],
        expected=(DomainError,),
        words=(b"```", b"---\n", b"````sigma\n", b"!!python/name:os.system"),
    ),
    Target(
        name="hunt-misp",
        run=_exchanged(from_misp),
        seeds=_misp_seeds,
        expected=(DomainError,),
        words=(b"Object", b"Attribute", b"attachment"),
        structured=True,
    ),
    Target(
        name="sigma-rule",
        run=_rule,
        seeds=lambda: [
            *_as_json(seeds.RULE, seeds.FILTER, seeds.CORRELATION),
            *_as_yaml(seeds.RULE),
            b"---\n".join(_as_yaml(seeds.RULE, seeds.FILTER, seeds.CORRELATION)),
        ],
        words=(
            b"|re",
            b"|base64offset|contains",
            b"|windash",
            b"|expand",
            b"1 of them",
            b"(a+)+$",
            b"|fieldref",
        ),
        structured=True,
    ),
    Target(
        name="sigma-validator",
        run=_validated,
        seeds=lambda: [*_as_json(seeds.RULE), *_as_yaml(seeds.RULE)],
        words=(b"attack.t1059", b"|re", b"condition"),
        structured=True,
    ),
    Target(
        name="settings",
        run=_settings,
        seeds=lambda: [seeds.SETTINGS.encode()],
        expected=(HuntonceError,),
        words=(b"[[", b"]]", b"= {}", b"= []", b"1979-05-27", b"inf", b"nan"),
    ),
    Target(
        name="command-line",
        run=_command_line,
        seeds=lambda: [
            b'schtasks /create /tn "a b" /tr "cmd /c \\"x y\\" /p:secret" /sc onlogon /ru SYSTEM',
            b"SCHTASKS.exe -Create -TN x -TR 'powershell -enc AAAA' -rp hunter2",
            b'cmd.exe /c "net use z: \\\\h\\s /user:a b" & echo x',
        ],
        words=(
            b'"',
            b'\\\\"',
            b" /tr ",
            b"^",
            b" password=",
            b"--password ",
            b"/create ",
            b"cmd /c ",
        ),
    ),
)


def named(name: str) -> Target:
    """The target of a name."""
    return next(target for target in TARGETS if target.name == name)
