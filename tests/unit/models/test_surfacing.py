"""From probes to gaps."""

from collections.abc import Iterable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.evidence import EvidenceModel
from huntonce.models.gap import Gap, GapKind
from huntonce.models.seeing import probe
from huntonce.models.surfacing import Asking, surface
from tests.support.builders import SECURITY, SYSMON, T0, Arrived, arrivals, atom, group, model

TWO = ("PC1", "PC2")


def gaps(
    of_model: EvidenceModel, rows: Iterable[Arrived], hosts: Iterable[str] = TWO, **more: object
) -> tuple[Gap, ...]:
    arrived = arrivals(rows, **more)  # type: ignore[arg-type] - passed through
    return surface(
        of_model,
        probe(of_model, tuple(hosts), arrived),
        Asking(
            siem="lake",
            hypothesis_key="h1",
            behaviour="T1053.005",
            owner="platform",
            window=arrived.window,
        ),
    )


def one_source() -> EvidenceModel:
    """Two atoms of one switch in two required groups, and one of another."""
    return model(
        group("creation", atom("security/4698", source="audit", siblings=(4698, 4702))),
        group("actor", atom("security/4699", source="audit", siblings=(4699, 4702))),
        group("execution", atom("security/4688", source="process")),
    )


def test_what_one_switch_turns_on_is_one_gap() -> None:
    found = gaps(one_source(), [])

    assert sorted(g.source for g in found) == ["audit", "process"]
    assert all(g.gap_kind is GapKind.NO_SOURCE and g.hosts == TWO for g in found)


def test_a_gap_names_the_hosts_of_all_atoms_of_its_source() -> None:
    rows: list[Arrived] = [("PC1", SECURITY, 4698, 0, 1), ("PC2", SECURITY, 4699, 0, 1)]

    (audit,) = (g for g in gaps(one_source(), rows) if g.source == "audit")

    assert audit.hosts == TWO
    assert audit.gap_kind is GapKind.NO_SOURCE


def test_some_hosts_are_a_partial_population_and_all_are_no_source() -> None:
    rows: list[Arrived] = [("PC1", SECURITY, 4702, 0, 1), ("PC1", SECURITY, 4688, 0, 1)]

    partial = gaps(one_source(), rows)

    assert {g.gap_kind for g in partial} == {GapKind.PARTIAL_POPULATION}
    assert {g.hosts for g in partial} == {("PC2",)}
    assert all("does not arrive from 1 of 2 hosts" in g.reason for g in partial)


def test_a_gap_keeps_its_key_while_its_hosts_change() -> None:
    whole = gaps(one_source(), [])
    part = gaps(one_source(), [("PC1", SECURITY, 4702, 0, 1)])

    assert {g.source: g.key for g in whole} == {g.source: g.key for g in part}
    assert len({g.key for g in whole}) == len(whole)


def test_an_alternative_raises_no_gap() -> None:
    wanted = model(
        group("creation", atom("security/4698"), atom("sysmon/11", primary=False)),
    )

    assert [g.source for g in gaps(wanted, [])] == ["source of security/4698"]


def test_severity_says_whether_anything_else_shows_it() -> None:
    wanted = model(
        group("creation", atom("security/4698"), atom("sysmon/11", primary=False)),
        group("tooling", atom("security/4688"), required=False),
    )
    sysmon = "Microsoft-Windows-Sysmon/Operational"

    blind = {g.group: g.severity for g in gaps(wanted, [("PC1", sysmon, 11, 0, 1)])}
    helped = {g.group: g for g in gaps(wanted, [(host, sysmon, 11, 0, 1) for host in TWO])}

    assert blind == {"creation": "high", "tooling": "low"}
    assert helped["creation"].severity == "medium"
    assert "rests on weaker traces" in helped["creation"].reason


def test_every_empty_field_is_a_gap_with_its_name() -> None:
    wanted = model(group("creation", atom("security/4698", fields=("A", "B", "C"))))
    fill = [("PC1", SECURITY, 4698, name, filled, 10) for name, filled in zip("ABC", (0, 3, 9))]  # noqa: B905

    found = gaps(wanted, [("PC1", SECURITY, 4698, 0, 10)], ["PC1"], fill=fill)

    assert {(g.gap_kind, g.field_name) for g in found} == {
        (GapKind.MISSING_FIELD, "A"),
        (GapKind.MISSING_FIELD, "B"),
    }
    assert len({g.key for g in found}) == 2


def test_a_refusal_is_a_gap_of_permission_and_not_of_the_source() -> None:
    wanted = model(group("creation", atom("security/4698")))

    (gap,) = gaps(wanted, [], refused={"security/4698": "denied"})

    assert gap.gap_kind is GapKind.PERMISSION
    assert not gap.remedy.commands
    assert "read Security" in gap.remedy.text
    assert gap.key not in {g.key for g in gaps(wanted, [])}


def test_what_is_seen_everywhere_is_no_gap() -> None:
    rows: list[Arrived] = [
        (host, SECURITY, event_id, 0, 1) for host in TWO for event_id in (4702, 4688)
    ]

    assert gaps(one_source(), rows) == ()


def test_the_worst_come_first_and_carry_what_a_ticket_needs() -> None:
    wanted = model(
        group("tooling", atom("security/4688"), required=False),
        group("creation", atom("security/4698", off_by_default=True)),
    )

    first, second = gaps(wanted, [])

    assert (first.severity, second.severity) == ("high", "low")
    assert first.unlocks == ("h1",)
    assert first.owner == "platform"
    assert first.remedy.commands
    assert "off by default" in first.reason


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["PC1", "PC2", "PC3"]),
            st.just(SECURITY),
            st.sampled_from([4698, 4699, 4702, 4688]),
            st.integers(0, 47),
            st.integers(1, 3),
        ),
        max_size=8,
    )
)
def test_a_host_is_in_a_gap_exactly_where_a_primary_trace_is_not_live(
    rows: list[Arrived],
) -> None:
    hosts = ("PC1", "PC2", "PC3")
    wanted = one_source()
    sources = {a.id: a.source for a in wanted.atoms}

    dead = {
        (sources[p.atom_id], p.host) for p in probe(wanted, hosts, arrivals(rows)) if not p.live
    }

    found = gaps(wanted, rows, hosts)
    assert {(g.source, host) for g in found for host in g.hosts} == dead
    assert len({g.source for g in found}) == len(found)


# ---------------------------------------------------------------- what comes instead

SYSMON_1 = "sysmon/1"


def of_sysmon(rows: Iterable[Arrived], hosts: Iterable[str], mute: Iterable[str] = ()) -> Gap:
    of_model = model(group("execution", atom(SYSMON_1, channel=SYSMON, event_ids=(1,))))
    arrived = arrivals(rows)
    (found,) = surface(
        of_model,
        probe(of_model, tuple(hosts), arrived),
        Asking(
            siem="lake",
            hypothesis_key="h1",
            behaviour="T1053.005",
            owner="platform",
            window=arrived.window,
            mute=tuple(mute),
        ),
    )
    return found


def test_nothing_other_events_and_no_longer_are_told_apart_each_with_its_remedy() -> None:
    other: list[Arrived] = [(host, SYSMON, 22, hour, 1) for host in TWO for hour in range(24)]

    missing, empty = of_sysmon([], TWO), of_sysmon(other, TWO)
    mute, part = of_sysmon([], TWO, TWO), of_sysmon(other, (*TWO, "PC3"), ("PC3",))

    assert len({g.reason for g in (missing, empty, mute, part)}) == 4
    assert len({g.remedy.text for g in (missing, empty, mute, part)}) == 4
    assert "2 of them send other events of the channel" in empty.reason
    assert "filter" in empty.remedy.text
    assert "2 of them never sent anything at all" in mute.reason
    assert mute.remedy.text.startswith("These hosts send nothing at all")
    assert "1 of them never sent anything at all, 2 of them send other events" in part.reason
    assert "1 host sends nothing at all" in part.remedy.text
    assert "filter" not in part.remedy.text
    assert all(g.remedy.commands == missing.remedy.commands for g in (empty, mute, part))


def test_a_silent_host_that_is_not_in_the_gap_is_not_spoken_of() -> None:
    assert "never sent" not in of_sysmon([], TWO, ["PC9"]).reason


def test_the_seven_answers_have_seven_words_and_seven_remedies() -> None:
    host = ("PC1",)
    month = 30 * 24

    def daily(days: range, number: int = 1, channel: str = SYSMON) -> list[Arrived]:
        return [("PC1", channel, number, day * 24, 1) for day in days]

    whole = daily(range(30))
    of_model = model(
        group("execution", atom(SYSMON_1, channel=SYSMON, event_ids=(1,), fields=("CommandLine",)))
    )
    rows: dict[str, list[Arrived]] = {
        "missing": [],
        "empty": daily(range(30), 22),
        "refused": whole,
        "stale": [*daily(range(20)), *daily(range(30), 7036, "System")],
        "lagging": whole,
        "short-lived": daily(range(10, 30)),
        "half-filled": whole,
    }
    more: dict[str, dict[str, object]] = {
        "refused": {"refused": {SYSMON_1: "403 forbidden"}},
        "lagging": {"lags": [("PC1", SYSMON, 30, 100 * 3600.0)]},
        "short-lived": {"kept": {SYSMON: T0 + timedelta(days=10)}},
        "half-filled": {"fill": [("PC1", SYSMON, 1, "CommandLine", 12, 30)]},
    }

    found = {
        name: gaps(of_model, rows[name], host, hours=month, **more.get(name, {})) for name in rows
    }

    assert {name: len(some) for name, some in found.items()} == dict.fromkeys(rows, 1)
    assert len({some[0].reason for some in found.values()}) == len(rows)
    # An empty field and a missing event are one switch here; the words before it differ.
    assert len({some[0].remedy.text for some in found.values()}) >= len(rows) - 1
    kinds = {name: some[0].gap_kind for name, some in found.items()}
    assert kinds == {
        "missing": GapKind.NO_SOURCE,
        "empty": GapKind.NO_SOURCE,
        "refused": GapKind.PERMISSION,
        "stale": GapKind.NO_SOURCE,
        "lagging": GapKind.LAG,
        "short-lived": GapKind.RETENTION,
        "half-filled": GapKind.MISSING_FIELD,
    }
    assert "could not be asked for" in found["refused"][0].reason
    assert "sent it until" in found["stale"][0].reason
    assert "no longer arrives from any of 1 hosts" in found["stale"][0].reason
    assert "arrives from none of 1 hosts" in found["missing"][0].reason
    assert "without CommandLine" in found["half-filled"][0].reason
