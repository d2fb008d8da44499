"""hunt.md and MISP events: what was written comes back, what does not map is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.models.content_files import MAX_BYTES
from huntonce.models.content_hunts import hunt_of
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AllowEntry, HuntDefinition
from huntonce.models.huntexchange.document import document_of, withheld
from huntonce.models.huntexchange.draft import Imported, SharedHunt, imported
from huntonce.models.huntexchange.huntmd import from_huntmd, to_huntmd
from huntonce.models.huntexchange.misp import from_misp, to_misp
from tests.support.kits import library

HUNTS = library().hunts
BASE = next(hunt for hunt in HUNTS if hunt.name == "dcsync")
every_hunt = pytest.mark.parametrize("hunt", HUNTS, ids=lambda hunt: hunt.name)

FOREIGN = """\
---
type: investigation
name: Odd shells
hypothesis: An adversary starts shells from office documents on our endpoints.
labels: [hunt, attack.t1059.001, attack.nonsense, 7]
references:
- {name: A report, url: 'https://example.org/report'}
provenance: {authors: [{name: Peer}]}
severity: high
---

# Odd shells

## shells
<!-- Shells of office -->
```sigma target=siem role=detection-candidate
~~~yaml
silence: not_evidence_of_absence
~~~
title: Shell of office
logsource: {product: windows, category: process_creation}
detection:
  selection: {ParentImage|endswith: '\\winword.exe'}
  condition: selection
```

## elsewhere
```kql target=siem
DeviceProcessEvents | where FileName == 'x'
```

## judge
```agent target=hunter
objective: decide
```
"""


def event(hunt: HuntDefinition) -> bytes:
    return json.dumps(to_misp(hunt)).encode()


def draft(text: str) -> Imported:
    return imported(from_huntmd(text.encode()))


# ---------------------------------------------------------------- ours, there and back


@every_hunt
def test_a_hunt_comes_back_from_both_formats_as_it_was(hunt: HuntDefinition) -> None:
    assert hunt_of(document_of(hunt)) == hunt
    for shared in (from_huntmd(to_huntmd(hunt).encode()), from_misp(event(hunt))):
        made = imported(shared)
        assert made.definition == hunt
        assert made.whole
        assert hunt_of(yaml.safe_load(made.text)) == hunt


@every_hunt
def test_a_reader_who_knows_only_the_formats_gets_every_search(hunt: HuntDefinition) -> None:
    from_steps = imported(replace(from_huntmd(to_huntmd(hunt).encode()), own=None))
    peer = to_misp(hunt)
    peer["Event"]["Attribute"] = []
    from_objects = imported(from_misp(json.dumps(peer).encode()))

    for made in (from_steps, from_objects):
        assert not made.whole
        assert made.definition.techniques == hunt.techniques
        assert " ".join(made.definition.hypothesis.split()) == " ".join(hunt.hypothesis.split())
        assert [(s.logsource, s.detection) for s in made.definition.searches] == [
            (s.logsource, s.detection) for s in hunt.searches
        ]


awkward = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["a\n---\nb", "```", "~~~yaml\nx\n~~~\n", "## x\n```sigma\n", "{x}", "'\"", "\u2028# y", ": -"]
)


@settings(max_examples=30, deadline=None)
@given(title=awkward, hypothesis=awkward, abnormal=awkward, search=awkward, value=awkward)
def test_any_text_survives(
    title: str, hypothesis: str, abnormal: str, search: str, value: str
) -> None:
    first, *rest = BASE.searches
    detection = {"selection": {"CommandLine|contains": value}, "condition": "selection"}
    hunt = replace(
        BASE,
        title=f"abc{title}",
        hypothesis=f"An adversary has done this: {hypothesis}",
        abnormal=abnormal,
        triage=(abnormal, search),
        searches=(replace(first, name=f"n{search}", detection=detection), *rest),
    )

    for shared in (from_huntmd(to_huntmd(hunt).encode()), from_misp(event(hunt))):
        assert imported(shared).definition == hunt
        assert len(shared.queries) == len(hunt.searches)


def test_what_a_company_allows_stays_with_it() -> None:
    own = AllowEntry(
        name="x", when={"image": "x"}, owner="Ann", reason="Ann of finance", hunts=("a",)
    )
    hunt = replace(BASE, allow=(*BASE.allow, own))

    assert withheld(hunt) == 1
    assert imported(from_misp(event(hunt))).definition == BASE
    assert "Ann of finance" not in to_huntmd(hunt)


def test_an_event_is_for_ones_own_organisation_and_the_same_every_time() -> None:
    made = to_misp(BASE)["Event"]

    assert (made["distribution"], made["published"]) == ("0", False)
    assert to_misp(BASE)["Event"] == made
    ids = [o["uuid"] for o in made["Object"]] + [a["uuid"] for a in made["Attribute"]]
    ids += [a["uuid"] for o in made["Object"] for a in o["Attribute"]]
    assert len(set(ids)) == len(ids)
    hypothesis = next(o for o in made["Object"] if o["name"] == "threat-hunt-hypothesis")
    tests = [r for o in made["Object"] for r in o["ObjectReference"]]
    assert {r["referenced_uuid"] for r in tests} == {hypothesis["uuid"]}
    assert len(tests) == len(BASE.searches)


# ---------------------------------------------------------------- others' hunts


def test_a_foreign_hunt_becomes_a_draft_that_says_what_it_could_not_take() -> None:
    made = draft(FOREIGN)

    assert made.definition.name == "odd-shells"
    assert made.definition.techniques == ("T1059.001",)
    assert made.definition.author == "Peer"
    assert made.definition.references == ("https://example.org/report",)
    (search,) = made.definition.searches
    assert search.detection["selection"] == {"ParentImage|endswith": "\\winword.exe"}
    assert search.view == "process"
    said = "\n".join(made.ignored)
    for lost in ("severity", "elsewhere: kql", "judge: agent"):
        assert lost in said
    assert "# query elsewhere: kql" in made.text
    assert hunt_of(yaml.safe_load(made.text)) == made.definition


def test_a_hunt_without_sigma_or_technique_is_refused_with_what_to_do() -> None:
    with pytest.raises(DomainError, match="kql, not Sigma") as told:
        draft(FOREIGN.replace("```sigma", "```kql"))
    assert "hunts new" in str(told.value.hint)
    with pytest.raises(DomainError, match="no ATT&CK technique") as told:
        draft(FOREIGN.replace("attack.t1059.001", "x"))
    assert "--technique" in str(told.value.hint)


def test_a_peers_queries_in_other_languages_are_named() -> None:
    query = {
        "name": "threat-hunt-query",
        "Attribute": [
            {"object_relation": "query", "value": "x | where y"},
            {"object_relation": "query-language", "value": "KQL"},
        ],
    }
    peer = to_misp(BASE)
    peer["Event"]["Attribute"] = []
    peer["Event"]["Object"] += [query, {"name": "threat-hunt-finding", "Attribute": []}]

    made = imported(from_misp(json.dumps(peer).encode()))

    assert any("kql, not Sigma" in note for note in made.ignored)
    assert "object threat-hunt-finding" in made.ignored


# ---------------------------------------------------------------- hostile files


def own(**changes: Any) -> bytes:
    document = {**document_of(BASE), **changes}
    front = yaml.safe_dump({"name": "x", "huntonce": {"definition": document}})
    return f"---\n{front}---\n".encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/passwd"},
        {"analytics": []},
        {"entity": 7},
        {"extra": "x"},
        {"records": "other"},
        {"analytics": [{**document_of(BASE)["analytics"][0], "options": {"all": {"x": "("}}}]},
    ],
)
def test_a_definition_from_outside_is_checked_like_any_other(changes: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        imported(from_huntmd(own(**changes)))


BOMB = "---\na: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"---\nname: x\n",
        b"---\n- x\n---\n",
        b"---\n\xff\xfe\n---\n",
        b"---\n" + b"[" * 50_000 + b"\n---\n",
        b"---\nx: " + b"y" * MAX_BYTES + b"\n---\n",
        f"{BOMB}\n---\n".encode(),
        b"---\n1: x\n---\n",
        b"---\nx: !!python/object/apply:os.system [id]\n---\n",
    ],
)
def test_files_that_are_no_hunt_are_refused(data: bytes) -> None:
    with pytest.raises(DomainError):
        imported(from_huntmd(data))


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b'{"Event": []}',
        b"[" * 100_000,
        b'{"Event": {"Object": "x", "Attribute": 7}}',
        b'{"Event": {"Attribute": [{"type": "attachment", "value": "x.hunt.md", "data": "?"}]}}',
        b'{"response": [{"Event": {}}, {"Event": {}}]}',
    ],
)
def test_documents_that_are_no_event_of_a_hunt_are_refused(data: bytes) -> None:
    with pytest.raises(DomainError):
        imported(from_misp(data))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=200))
def test_nothing_but_our_own_fault_comes_of_any_file(data: bytes, body: str) -> None:
    for told in (data, f"---\nname: x\n---\n{body}".encode(errors="replace")):
        for read in (from_huntmd, from_misp):
            try:
                imported(read(told), "T1059")
            except DomainError:
                continue


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "Attribute", "object_relation", "value", "type", "data"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({"Object": json_like, "Attribute": json_like, "info": json_like}))
def test_no_shape_of_an_event_breaks_the_reader(body: dict[str, Any]) -> None:
    peer = to_misp(BASE)["Event"]
    objects = body["Object"] if isinstance(body["Object"], list) else [body["Object"]]
    whole = {**body, "Object": [*peer["Object"], *objects]}
    try:
        shared = from_misp(json.dumps({"Event": whole}).encode())
    except DomainError:
        return
    assert isinstance(shared, SharedHunt)


def test_a_note_cannot_leave_its_comment() -> None:
    hostile = FOREIGN.replace("## elsewhere", "## else\u2028name: evil\u0085id: x")

    made = draft(hostile)

    assert hunt_of(yaml.safe_load(made.text)) == made.definition
    assert made.definition.name == "odd-shells"


# ---------------------------------------------------------------- commands


def test_the_commands_write_a_new_file_and_never_over_one(tmp_path: Path) -> None:
    run = CliRunner()
    home = ["--home", str(tmp_path / "home"), "--json"]
    for form, ending in (("hunt.md", "hunt.md"), ("misp", "misp.json")):
        said = ["hunts", "export", BASE.name, "--format", form, "--out", str(tmp_path), *home]
        assert run.invoke(app, said).exit_code == 0
        assert (tmp_path / f"{BASE.name}.{ending}").exists()
        assert run.invoke(app, said).exit_code != 0
        # It is at hand already under this name.
        back = ["hunts", "import", str(tmp_path / f"{BASE.name}.{ending}"), *home]
        assert run.invoke(app, back).exit_code != 0

    (tmp_path / "odd.hunt.md").write_text(FOREIGN, encoding="utf-8")
    out = ["--out", str(tmp_path / "hunts"), *home]
    answer = run.invoke(app, ["hunts", "import", str(tmp_path / "odd.hunt.md"), *out])

    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["draft"]
    assert told["not_taken_over"]
    assert run.invoke(app, ["hunts", "check", told["path"], *home]).exit_code == 0
