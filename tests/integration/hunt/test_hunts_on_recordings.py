"""Every written hunt over real recordings: the behaviour is found, ordinary machines stay silent.

What is asserted is the behaviour (which events carry the finding, which reason was given), never a
file's own names. ``python -m tests.benchmarks.efficacy`` measures all recordings; this guards one
or two of each kind. No recording holds jobs of ``at``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.finding import Disposition
from huntonce.models.hypothesis import Verdict
from huntonce.models.profile import Profile
from huntonce.models.stages.hunt import HuntResult, hunt, prepare
from huntonce.models.stages.hypothesise import by_analyst
from huntonce.models.stages.operate import default_window
from tests.support.kits import bench, library
from tests.support.shared import shared_data

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]

ORDINARY = "ordinary"
UNRECORDED = {"at-jobs"}
"""Hunts about behaviour that no labelled recording holds."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a hunt must make of an attack.

    Attributes:
        recording: A part of the file's name that tells it from the others.
        events: Event ids of which the finding's own events must hold at least one.
        reasons: Analytics of which at least one must have fired on it.
        malicious: Whether it must be called so without any knowledge of the company.
    """

    hunt: str
    recording: str
    events: frozenset[int]
    reasons: frozenset[str]
    malicious: bool = False


def case(
    hunt: str, recording: str, events: set[int], reasons: str, *, malicious: bool = False
) -> Case:
    return Case(hunt, recording, frozenset(events), frozenset(reasons.split()), malicious)


CASES = (
    case("account-creation", "4728_Hidden_user", {4720}, "made_and_deleted", malicious=True),
    case("account-creation", "4726_Fast_created", {4720}, "made_and_deleted"),
    case("account-discovery", "4688-User_enumeration", {4688}, "burst_of_questions"),
    case("account-discovery", "shell_samr_EnumDomainUsers", {1}, "odd_parent"),
    case("bits-jobs", "bitsadmin_download", {1, 4688}, "bits_command"),
    case("dcom-execution", "dcom_executeexcel4macro", {1, 4688}, "embedded"),
    case("dcsync", "dcsync_dcerpc", {4662}, "not_a_controller"),
    case("event-log-clearing", "ID104-1102-Event_log_cleared", {1102}, "security"),
    case("event-log-clearing", "event_log_attempt_wmi", {4688}, "by_command"),
    case("event-log-tampering", "Server_audit_object_deleted", {33205}, "database"),
    case("event-log-tampering", "minint_key", {12, 13}, "no_log_at_start"),
    case("group-discovery", "net_localgroup_administrators", {1, 4799}, "admin_groups odd_parent"),
    case("group-discovery", "Domain_group_discovery", {4103, 4104}, "admin_groups"),
    case("lsass-access", "lsass_memory_dump_comsvcs", {10, 4656, 4663}, "dump_rights",
         malicious=True),
    case("lsass-access", "ID10-Mimikatz_LSASS", {10}, "dump_rights"),
    case("mshta-execution", "mshta_vbscript", {1, 4688}, "inline_script"),
    case("powershell-execution", "CrackMapExec_payload", {1}, "decodes"),
    case("powershell-execution", "Payload_download_via", {4104}, "fetches_and_runs"),
    case("rdp-enabling", "enable_rdp", {13}, "opened weakened"),
    case("registry-run-keys", "modification_run_keys", {13}, "hidden_interpreter"),
    case("regsvr32-execution", "cmstp_execution", {1, 4688}, "silent_profile", malicious=True),
    case("rundll32-execution", "lsass_memory_dump_comsvcs", {1, 4688}, "proxy_export",
         malicious=True),
    case("scheduled-task-persistence", "otrf-schtask_create", {4698}, "remote", malicious=True),
    case("scheduled-task-persistence", "ATexec_remote", {4698}, "short_lived", malicious=True),
    case("scheduled-task-persistence", "ID4688-4698_Persistent", {4698}, "system_by_person"),
    case("smb-admin-shares", "PSexec_remote_execution", {5145}, "tool_pipe"),
    case("smb-admin-shares", "copy_smb_CreateRequest", {5145}, "program_to_share"),
    case("uac-bypass", "cmstp_execution", {1}, "elevated_com"),
    case("windows-services", "RDP_hijack_via_service", {4697}, "interpreter"),
    case("windows-services", "service_mod_fax", {13}, "interpreter"),
    case("wmi-execution", "sharpwmi_create", {1, 4688}, "network_session"),
    case("wmi-subscriptions", "persistwmi", {19, 20, 21}, "command_consumer interpreter"),
)  # fmt: skip

Look = Callable[[str, str], HuntResult]


@cache
def labelled() -> tuple[dict[str, Any], ...]:
    text = shared_data("telemetry", "labels.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)["labels"])


def files_of(recording: str) -> list[Path]:
    if recording == ORDINARY:
        found = [entry for entry in labelled() if entry["role"] == "baseline"]
    else:
        found = [entry for entry in labelled() if recording in entry["file"]]
        assert len(found) == 1, f"{recording} names {len(found)} recordings"
    return [shared_data("telemetry", entry["file"]) for entry in found]


@pytest.fixture(scope="session")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """A hunt by name over a recording; each recording is loaded once and hunted by nobody's word.

    Without a profile: no asset list, nobody privileged, no change windows.
    """
    home = tmp_path_factory.mktemp("recordings")
    made = bench(home)
    folders: dict[str, Path] = {}

    @cache
    def over(name: str, recording: str) -> HuntResult:
        folder = folders.get(recording)
        if folder is None:
            folder = folders[recording] = home / str(len(folders))
            load_paths(folder, files_of(recording))
        kit = replace(made.kit, siem=Lake(folder), profile=Profile())
        definition = next(h for h in kit.library.hunts if h.name == name)
        target = by_analyst(kit, definition, definition.techniques[0])
        sight, gaps = prepare(kit, target, default_window(kit))
        return hunt(kit, target, sight, gaps)

    yield over
    made.store.close()


@pytest.mark.parametrize("wanted", CASES, ids=lambda c: f"{c.hunt}-{c.recording}")
def test_the_behaviour_is_found(look: Look, wanted: Case) -> None:
    result = look(wanted.hunt, wanted.recording)

    findings = result.looked.findings
    fitting = [
        one
        for one in findings
        if {event.event_id for event in one.core} & wanted.events
        and wanted.reasons & set(one.analytics)
    ]
    assert fitting, [(one.title, one.analytics) for one in findings]
    assert result.verdict not in {Verdict.RULED_OUT, Verdict.BLOCKED}
    if wanted.malicious:
        assert Disposition.MALICIOUS in {one.state for one in fitting}


@pytest.mark.parametrize("wanted", CASES, ids=lambda c: f"{c.hunt}-{c.recording}")
def test_a_finding_explains_itself_by_events_that_are_there(look: Look, wanted: Case) -> None:
    result = look(wanted.hunt, wanted.recording)

    for one in result.looked.findings:
        assert sum(term.value for term in one.terms) == pytest.approx(one.score, abs=1e-3)
        assert {term.name for term in one.terms} <= set(one.analytics)
        assert one.core
        assert "unknown" not in one.reason


@pytest.mark.parametrize("name", sorted(hunt.name for hunt in library().hunts))
def test_ordinary_machines_stay_silent(look: Look, name: str) -> None:
    result = look(name, ORDINARY)

    assert [(one.title, one.reason) for one in result.looked.findings] == []
    assert result.verdict in {Verdict.INCONCLUSIVE, Verdict.BLOCKED, Verdict.RULED_OUT}


@pytest.mark.parametrize("recording", ["otrf-schtask_create", "ATexec_remote"])
def test_a_registration_over_the_network_is_told_by_the_actors_logon(
    look: Look, recording: str
) -> None:
    result = look("scheduled-task-persistence", recording)

    (found,) = result.looked.findings
    assert {"remote", "remote_session", "network_session"} & set(found.analytics)
    assert found.details["session_type"] == "3"
    assert "logon" in {event.role for event in found.events}


def test_every_hunt_that_a_label_can_test_has_a_case() -> None:
    techniques = {t for entry in labelled() if entry["role"] != "baseline" for t in
                  entry["techniques"]}  # fmt: skip
    testable = {hunt.name for hunt in library().hunts if techniques & set(hunt.techniques)}

    assert testable == {wanted.hunt for wanted in CASES}
    assert {hunt.name for hunt in library().hunts} - testable == UNRECORDED
