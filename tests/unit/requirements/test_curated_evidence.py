"""The evidence that is written by hand: sound against its schema, Sigma and its own catalogue."""

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import yaml

from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.attack import Outcome, load_catalogue
from huntonce.models.content import load_library
from huntonce.models.query import SigmaSearch

CONTENT = files("huntonce.content")
SUBCATEGORIES = {
    "Process Creation": "0CCE922B", "Other Object Access Events": "0CCE9227", "Logon": "0CCE9215",
    "Special Logon": "0CCE921B", "Other Logon/Logoff Events": "0CCE921C",
    "Credential Validation": "0CCE923F", "Kerberos Authentication Service": "0CCE9242",
    "Kerberos Service Ticket Operations": "0CCE9240", "File Share": "0CCE9224",
    "Detailed File Share": "0CCE9244", "User Account Management": "0CCE9235",
    "Security Group Management": "0CCE9237", "Directory Service Access": "0CCE923B",
    "Registry": "0CCE921E", "File System": "0CCE921D", "Kernel Object": "0CCE921F",
    "SAM": "0CCE9220", "Security System Extension": "0CCE9211",
    "Audit Policy Change": "0CCE922F", "Filtering Platform Connection": "0CCE9226",
    "Sensitive Privilege Use": "0CCE9228", "MPSSVC Rule-Level Policy Change": "0CCE9232",
}  # fmt: skip
"""First part of the GUID by name, from the protocol specification of audit policies."""


def documents() -> list[tuple[str, Any]]:
    folder = CONTENT / "evidence"
    return [(i.name, yaml.safe_load(i.read_text())) for i in folder.iterdir()]


def test_every_file_fits_its_schema() -> None:
    checks = {
        name: jsonschema.Draft202012Validator(
            json.loads((CONTENT / "schema" / f"{name}.schema.json").read_text())
        )
        for name in ("evidence", "evidence-sources")
    }
    for name, document in documents():
        check = checks["evidence-sources" if name == "sources.yml" else "evidence"]
        assert [error.message for error in check.iter_errors(document)] == [], name


def test_every_file_is_of_a_current_windows_technique_and_named_after_it() -> None:
    catalogue = load_catalogue()
    for name, document in documents():
        if name == "sources.yml":
            continue
        assert name == f"{document['technique']}.yml"
        assert catalogue.resolve(document["technique"]).outcome is Outcome.CURRENT
        assert "Windows" in catalogue.techniques[document["technique"]].platforms


def test_audit_subcategories_have_the_guids_of_their_names() -> None:
    shared = dict(documents())["sources.yml"]
    named = {s["audit"]["name"]: s["audit"]["guid"] for s in shared["sources"] if "audit" in s}

    assert named == {name: f"{SUBCATEGORIES[name]}-69AE-11D9-BED3-505054503030" for name in named}


def test_every_source_is_switched_on_by_a_command_and_every_one_is_used() -> None:
    shared = dict(documents())["sources.yml"]
    used = {a.remedy.commands for m in load_library().evidence.values() for a in m.atoms}

    assert all(used)
    assert any(re.search(r"auditpol /set .*\{0CCE9227-", c) for cs in used for c in cs)
    assert len(shared["sources"]) - len(used) <= 3


def test_an_id_means_one_trace_in_all_models_and_every_condition_is_sigma() -> None:
    seen: dict[str, object] = {}
    for model in load_library().evidence.values():
        for atom in model.atoms:
            trace = (atom.channel, atom.event_ids, atom.fields, dict(atom.where), atom.siblings)
            assert seen.setdefault(atom.id, trace) == trace, atom.id
            if atom.where:
                search = SigmaSearch(
                    name="x", logsource={"product": "windows"}, detection=dict(atom.where)
                )
                assert [c.parsed for c in search_rule(search).detection.parsed_condition]


def test_every_model_needs_a_trace_whose_absence_is_worth_a_ticket() -> None:
    for model in load_library().evidence.values():
        assert all(any(a.primary for a in g.atoms) for g in model.groups if g.required)
