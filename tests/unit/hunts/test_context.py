"""What lies around a record is joined on, by GUID where there is one, else by id, name and time."""

from huntonce.models.analytics.context import (
    ACTIVITY,
    CHILDREN,
    PROCESSES,
    join,
    join_addresses,
    searches,
)
from huntonce.models.analytics.records import Record
from tests.support.builders import T0, after, ref, row, table

GUID = "{a98268c1-0000-0000-0000-000000000001}"
PARENT = "{a98268c1-0000-0000-0000-000000000002}"


def record(**facts: str) -> Record:
    return Record(entity="e", host="PC1", time=T0, facts=facts, refs=[ref("own")], hosts={"PC1"})


def test_only_what_looks_like_an_id_is_asked_for() -> None:
    good = record(process_guid=GUID, parent_guid=PARENT)
    evil = record(process_guid="*", parent_guid="{a*}", pid="5*")

    asked = searches([good, evil], ("process", "parent", "children", "activity"))

    assert [search.name for search in asked] == [PROCESSES, CHILDREN, ACTIVITY]
    assert "*" not in str([search.detection for search in asked])
    assert searches([evil], ("process", "parent", "children", "activity")) == ()


def test_the_process_behind_a_registry_value_brings_its_session_and_parent() -> None:
    one = record(process_guid=GUID, key="HKLM\\x")
    own = row(
        1, ProcessGuid=GUID.upper(), Image="C:\\a\\reg.exe", CommandLine="reg add",
        User="CORP\\ann", LogonId="0xAB", ParentImage="C:\\a\\cmd.exe", ParentProcessGuid=PARENT,
    )  # fmt: skip
    parent = row(1, ProcessGuid=PARENT, Image="C:\\a\\cmd.exe", ParentImage="C:\\a\\word.exe")

    join([one], {PROCESSES: table(own, parent)})

    assert one.fact("command") == "reg add"
    assert (one.actor, one.fact("logon_id"), one.fact("parent_name")) == (
        "CORP\\ann", "0xab", "cmd.exe",
    )  # fmt: skip
    assert one.fact("grandparent_name") == "word.exe"
    assert {known.role for known in one.refs} >= {"process", "parent"}


def test_a_process_id_means_the_latest_process_that_had_begun() -> None:
    one = record(parent_pid="500", parent_name="cmd.exe", parent="C:\\a\\cmd.exe")

    def process(minute: int, name: str, line: str) -> dict[str, object]:
        return row(
            4688, after(minutes=minute), Image=f"C:\\a\\{name}", ProcessId="0x1f4", CommandLine=line
        )

    join([one], {PROCESSES: table(
        process(-60, "cmd.exe", "old"), process(-5, "cmd.exe", "right"),
        process(-1, "other.exe", "wrong program"), process(5, "cmd.exe", "too late"),
    )})  # fmt: skip

    assert one.fact("parent_command") == "right"


def test_children_and_activity_are_those_of_the_process_and_its_time() -> None:
    one = record(process_guid=GUID, parent="x")
    near = row(1, after(minutes=1), ParentProcessGuid=GUID, Image="C:\\a\\cmd.exe", CommandLine="c")
    late = row(1, after(hours=9), ParentProcessGuid=GUID, Image="C:\\a\\late.exe")
    spoke = row(
        3, after(minutes=1), ProcessGuid=GUID, DestinationIp="10.0.0.1", DestinationPort="443"
    )

    join([one], {CHILDREN: table(near, late), ACTIVITY: table(spoke)})

    assert one.fact("children") == "cmd.exe"
    assert one.fact("connected_to") == "10.0.0.1:443"


def test_an_address_of_an_asset_is_the_host_it_came_from() -> None:
    one, own = record(remote_address="10.0.0.9"), record(remote_address="10.0.0.1")

    join_addresses([one, own], {"10.0.0.9": "ADMIN1", "10.0.0.1": "PC1"})

    assert one.fact("remote_from") == "ADMIN1"
    assert "ADMIN1" in one.hosts
    assert own.fact("remote_from") == ""
