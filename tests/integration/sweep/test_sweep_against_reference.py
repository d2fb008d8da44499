"""Random rules over random events: the reference, the sweep engine and DuckDB agree."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.packcache import load_pack
from tests.support import sigma_reference

pytestmark = pytest.mark.integration

FIELDS = ("Image", "CommandLine", "Target", "Ip", "Count")
PIECES = (
    *(
        "a",
        "B",
        "ab",
        "Ab*c",
        "x_y",
        "100%",
        "?",
        "\\",
        "C:\\Win\\a.exe",
        "net user",
        "-Enc",
        "/enc",
    ),
    *(
        "İS",
        "straße",
        "ΣΑΣ",
        "k",
        "\u017f",
        "'q'",
        '"',
        "[x]",
        "{0}",
        "line\nend",
        "\t",
        " ",
        "aHR0cA==",
    ),
    *(
        "4688",
        "7",
        "7.0",
        "1e1",
        "0x10",
        " 5 ",
        "true",
        "0",
        "10.1.2.3",
        "10.200.0.1",
        "fe80::1",
        "",
    ),
)
value = st.one_of(
    st.sampled_from(PIECES),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join),
)
event = st.fixed_dictionaries(
    {"EventID": st.sampled_from((1, 7))},
    optional=dict.fromkeys(FIELDS, value),
)
pattern = st.one_of(
    value,
    st.tuples(value, st.sampled_from(("*", "?", "\\*", "\\?", "**")), value).map("".join),
)
regex = st.sampled_from(
    (
        *(
            "^a",
            "b$",
            "[aB]+",
            "a.b",
            "\\\\a\\.exe$",
            "net\\s+user",
            "(x_y|100%)",
            "k",
            "s",
            "^$",
            "\\d{2,}",
        ),
        *("(?:ab|Ab)", "a?b*c", "(line)\\nend", "[^a]"),
    )
)


def item(field: str) -> st.SearchStrategy[tuple[str, Any]]:
    def listed(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(one, st.lists(one, min_size=1, max_size=4))

    text = pattern.filter(lambda found: found != "")
    return st.one_of(
        st.tuples(st.just(field), listed(st.one_of(pattern, st.none(), st.integers(0, 10)))),
        st.tuples(
            st.sampled_from(("contains", "startswith", "endswith")).map(
                lambda name: f"{field}|{name}"
            ),
            listed(text),
        ),
        st.tuples(st.just(f"{field}|contains|all"), st.lists(text, min_size=2, max_size=3)),
        st.tuples(
            st.sampled_from(("cased", "cased|contains", "cased|startswith")).map(
                lambda name: f"{field}|{name}"
            ),
            listed(text),
        ),
        st.tuples(st.sampled_from((f"{field}|re", f"{field}|re|i")), listed(regex)),
        st.tuples(st.just(f"{field}|cidr"), st.sampled_from(("10.0.0.0/8", "10.1.2.0/24"))),
        st.tuples(
            st.sampled_from(("gt", "gte", "lt", "lte")).map(lambda name: f"{field}|{name}"),
            st.integers(0, 12),
        ),
        st.tuples(st.just(f"{field}|exists"), st.booleans()),
        st.tuples(
            st.sampled_from(("fieldref", "fieldref|contains", "fieldref|startswith")).map(
                lambda name: f"{field}|{name}"
            ),
            st.sampled_from(FIELDS),
        ),
        st.tuples(st.just(f"{field}|windash|contains"), st.sampled_from(("-enc", "/enc", "-a"))),
        st.tuples(st.just(f"{field}|base64|contains"), st.sampled_from(("http", "a"))),
        st.tuples(st.just(field), st.booleans()),
    )


mapping = st.lists(
    st.one_of(*(item(field) for field in (*FIELDS, "Nowhere"))), min_size=1, max_size=3
).map(dict)
keywords = st.lists(pattern.filter(lambda found: found.strip("*") != ""), min_size=1, max_size=3)
selection = st.one_of(mapping, mapping, st.lists(mapping, min_size=1, max_size=2), keywords)
CONDITIONS = (
    *("s1", "s1 or s2", "s1 and s2", "not s1", "s1 and not s2", "1 of s*", "all of them"),
    *("not 1 of s*", "s1 and not (s2 or s3)", "not (not s3)", "s2 or not s1 and s3"),
)
detection = st.fixed_dictionaries(
    {"s1": selection, "s2": selection, "s3": selection, "condition": st.sampled_from(CONDITIONS)}
)


def document(number: int, detection: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": f"rule {number}",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "logsource": {"product": "windows", "service": "system"},
        "detection": dict(detection),
    }


def record(number: int, fields: Mapping[str, Any]) -> bytes:
    own = {name: text for name, text in fields.items() if name != "EventID"}
    return orjson.dumps(
        {
            "Event": {
                "System": {
                    "Provider": {"#attributes": {"Name": "Provider Zz"}},
                    "EventID": fields["EventID"],
                    "TimeCreated": {"#attributes": {"SystemTime": "2026-01-05T10:00:00.000Z"}},
                    "EventRecordID": 90_000_000 + number,
                    "Channel": "System",
                    "Computer": "QQ-HOST",
                },
                "EventData": own,
            }
        }
    )


def seen(number: int, fields: Mapping[str, Any]) -> dict[str, str]:
    """The event as a rule sees it, with what the record notes, which keywords look at too."""
    return {
        **{name: str(text) for name, text in fields.items()},
        "Provider_Name": "Provider Zz",
        "Channel": "System",
        "Computer": "QQ-HOST",
        "EventRecordID": str(90_000_000 + number),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=st.lists(event, min_size=1, max_size=12),
    detections=st.lists(detection, min_size=1, max_size=8),
)
def test_reference_engine_and_duckdb_agree_on_every_rule(
    events: list[dict[str, Any]], detections: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "events.jsonl").write_bytes(
            b"\n".join(record(number, fields) for number, fields in enumerate(events))
        )
        documents = [document(number, found) for number, found in enumerate(detections)]
        texts = [yaml.safe_dump(found, allow_unicode=True) for found in documents]
        (root / "rules.yml").write_text("\n---\n".join(texts), encoding="utf-8")
        load_paths(root / "lake", [root / "events.jsonl"])
        pack = load_pack([root / "rules.yml"])
        lake = Lake(root / "lake")
        extent = lake.extent()
        assert pack.unsupported == ()
        assert extent is not None

        report = sweep(root / "lake", pack)
        engine = {
            hits.id: sorted(event.record_id or 0 for event, _ in hits.events())
            for hits in report.hits
        }
        for found, text in zip(documents, texts, strict=True):
            expected = [
                90_000_000 + number
                for number, fields in enumerate(events)
                if sigma_reference.matches(found["detection"], seen(number, fields))
            ]
            table = lake.search_rule(text, extent).table
            duckdb = sorted(table.column("record_id").to_pylist())

            assert engine.get(found["id"], []) == expected, text
            assert duckdb == expected, text
