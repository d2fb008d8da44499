"""Whatever a case holds, what leaves of it is strictly valid STIX and names nothing of ours."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.connectors.intel.author import author_case
from huntonce.connectors.intel.author_words import author_opinion, author_ruled_out
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.feedback import (
    Advice,
    CaseIntel,
    Mask,
    NamedRef,
    OpinionIntel,
    RuledOutIntel,
    SharingRules,
    Stance,
    Style,
    TechniqueRef,
    leaks,
    plan_publications,
    scoped,
)
from huntonce.models.finding import EventRef, Observable
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.ids import stix_id
from huntonce.models.intel import SourceRef
from huntonce.models.profile import Profile
from huntonce.models.publication import PublicationState
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import Power
from huntonce.models.windows import Window
from tests.integration.sharing.organisations import assert_sound

PROFILE = Profile(name="Example Works", internal_names=("corp.example",))
HOSTS = ("WS01", "DC01.corp.example", "LAPTOP-7F")
ACCOUNTS = ("CORP\\j.doe", "svc_backup@corp.example", "NT AUTHORITY\\SYSTEM")
SECRETS = ("ws01", "dc01", "laptop-7f", "j.doe", "svc_backup", "corp.example", "10.20.30.40")

words = st.text(max_size=80) | st.sampled_from(
    [f"C:\\Users\\{name}\\run.exe /x" for name in ("j.doe", "Public", "ü ñ")]
    + [
        "copy \\\\WS01\\c$ from 10.20.30.40",
        "\\Microsoft\\Windows\\Sync",
        "a\x00b\ud800c",
        "' OR '",
    ]
)
observables = st.lists(
    st.builds(
        Observable,
        type=st.sampled_from(
            ["task", "command", "file", "hash", "ip", "host", "user", "domain", "url", "other"]
        ),
        value=words
        | st.sampled_from(
            [
                *("ab" * 16, "SHA256=" + "cd" * 32 + ",MD5=" + "ef" * 16, "185.220.101.4", "::1"),
                *("2001:4860:4860::64", "evil.example-net.com", "http://evil.example-net.com/x?y"),
                *("http://[::1", "https://DC01.corp.example/", "not a domain.", *ACCOUNTS, *HOSTS),
            ]
        ),
    ),
    max_size=6,
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
tlps = st.sampled_from(list(Tlp))


@st.composite
def sources(draw: st.DrawFn) -> SourceRef:
    kind = draw(st.sampled_from(["campaign", "report", "indicator", "sighting", "attack-pattern"]))
    return SourceRef(
        object_id=stix_id(kind, draw(st.integers(0, 3))),
        object_type=kind,
        name=draw(words),
        feed="f",
        tlp=draw(tlps),
        modified=draw(times),
    )


@st.composite
def cases(draw: st.DrawFn) -> CaseIntel:
    first = draw(times)
    last = first + draw(st.timedeltas(timedelta(0), timedelta(days=90)))
    closed = last + draw(st.timedeltas(timedelta(0), timedelta(days=90)))
    events = draw(st.integers(0, 3))
    techniques = draw(st.lists(st.sampled_from(["T1053.005", "T1059.001"]), unique=True))
    kinds = ("malware", "tool", "campaign", "intrusion-set")
    stated = tuple(
        NamedRef(type=kind, name=name, stix_id=stix_id(kind, name) if known else "", tlp=level)
        for kind, name, known, level in draw(
            st.lists(
                st.tuples(
                    st.sampled_from(kinds), st.text("abcX 1-", min_size=1), st.booleans(), tlps
                ),
                max_size=4,
                unique_by=lambda one: one[:2],
            )
        )
    )
    title = draw(st.text(min_size=1, max_size=20))
    case = Case(
        id="CASE-1",
        natural_key=draw(st.text(min_size=1, max_size=9)),
        title=draw(words) or "t",
        summary=draw(words),
        hypothesis_key="h",
        finding_ids=(),
        detection_ids=("D-1",),
        technique_ids=tuple(techniques),
        severity="high",
        tlp=draw(tlps),
        hosts=tuple(draw(st.lists(st.sampled_from(HOSTS), unique=True))),
        accounts=tuple(draw(st.lists(st.sampled_from(ACCOUNTS), unique=True))),
        observables=tuple(draw(observables)),
        events=tuple(
            EventRef(uid=str(n), host="WS01", channel="c", event_id=1, record_id=n, time=first)
            for n in range(events)
        ),
        actors=(),
        source_ids=(),
        first=first,
        last=last,
        state=CaseState.CLOSED,
        determination=draw(st.sampled_from(list(Determination))),
        note=draw(words),
        closed_at=closed,
    )
    detection = Detection(
        id="D-1", rule_id="r", title=title, technique_ids=("T1053.005",), hypothesis_key="h",
        hunt_name="n", analytic="a", level="high", rule=f"title: {title!r}\ndetection: x",
        atoms=(), state=draw(st.sampled_from(list(DetectionState))),
    )  # fmt: skip
    advice = Advice(key="k", name="Make visible: x", text="auditpol", technique_id="T1053.005")
    return CaseIntel(
        case=case,
        detections=(detection,),
        source_refs=tuple(draw(st.lists(sources(), max_size=4))),
        organisation=PROFILE.name,
        window=Window(first, last + timedelta(hours=1)),
        power="Power 0.90.",
        blind=(draw(words),),
        created=closed,
        modified=draw(st.none() | st.just(closed + timedelta(days=1))),
        techniques=(
            TechniqueRef(id="T1053.005", stix_id=stix_id("attack-pattern", 1)),
            *([TechniqueRef(id="T1059.001")] if draw(st.booleans()) else []),
        ),
        stated=stated,
        advice=(advice,) if draw(st.booleans()) else (),
        style=draw(
            st.builds(
                Style,
                incident_core=st.booleans(),
                gaps=st.booleans(),
                confirmed_as=st.sampled_from(["suspected", "confirmed", "successful-attempt"]),
            )
        ),
    )


GUARD = leaks(PROFILE, hosts=HOSTS, accounts=ACCOUNTS)
MASK = Mask(b"k" * 32, hosts=HOSTS, accounts=ACCOUNTS, leaks=GUARD)
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
few = settings(max_examples=30, deadline=None, suppress_health_check=SLOW)


def leaving(bodies: tuple[str, ...], levels: dict[str, Tlp], ceiling: Tlp) -> list[dict[str, Any]]:
    """What goes to a destination, after every step that a real case takes."""
    rules = SharingRules(
        destination="peers",
        max_tlp=ceiling,
        leaks=GUARD,
        levels=levels,
        own_name=PROFILE.name,
        own_identities=frozenset({stix_id("identity", PROFILE.name)}),
    )
    planned = plan_publications(scoped(bodies, "peers"), rules, subject="CASE-1")
    return [json.loads(p.body) for p in planned if p.state is PublicationState.PLANNED]


@few
@given(cases(), st.just(Tlp.RED) | tlps)
def test_a_case_leaves_as_valid_stix_without_a_name_of_ours(intel: CaseIntel, ceiling: Tlp) -> None:
    objects = leaving(author_case(intel, mask=MASK), intel.levels, ceiling)

    assert_sound(objects)
    text = json.dumps(objects).casefold()
    assert not [name for name in SECRETS if name in text.replace("\\\\", "\\")]
    ids = {one["id"] for one in objects}
    public = {one.stix_id for one in intel.techniques}
    for one in objects:
        for key, value in one.items():
            if key.endswith("_ref") or (key.endswith("_refs") and key != "object_marking_refs"):
                for ref in value if isinstance(value, list) else [value]:
                    foreign = intel.levels.get(ref)
                    assert ref in ids | public or (foreign and foreign.rank <= ceiling.rank), key


@few
@given(cases())
def test_a_case_written_twice_is_the_same_bytes_and_each_object_once(intel: CaseIntel) -> None:
    bodies = author_case(intel, mask=MASK)

    assert bodies == author_case(intel, mask=MASK)
    ids = [json.loads(body)["id"] for body in bodies]
    assert len(ids) == len(set(ids))


@few
@given(words, words, times, st.floats(0, 1, exclude_min=True), st.floats(0, 1), tlps)
def test_negative_knowledge_is_valid_or_nothing(
    statement: str, blind: str, at: datetime, power: float, floor: float, tlp: Tlp
) -> None:
    run = HuntRun(
        id="HUNT-1", hypothesis_key="h", hypothesis_id="H-1", hunt_name="tasks",
        technique_id="T1053.005", siem="lake", start=at, end=at + timedelta(hours=2),
        started_at=at, state=HuntState.CONCLUDED, verdict=Verdict.RULED_OUT, outcomes=("x",),
        checks=(Check(name="base", query="q", events=0),), concluded_at=at + timedelta(days=1),
        power=Power(
            value=power, population=3, seen=3, hours=2, groups=(), blind=(), weakest="", words="w"
        ),
    )  # fmt: skip
    hypothesis = Hypothesis(
        technique_id="T1053.005", technique_name="n", scope="windows",
        statement=statement.strip() or "s",
    )  # fmt: skip
    intel = RuledOutIntel(
        hypothesis=hypothesis, run=run, organisation=PROFILE.name, tlp=tlp, floor=floor,
        technique=TechniqueRef(id="T1053.005"), power="Power.", blind=(blind,),
        style=Style(gaps=True),
    )  # fmt: skip

    bodies = author_ruled_out(intel, mask=MASK)

    assert bool(bodies) is (power >= floor)
    assert_sound(leaving(bodies, {}, Tlp.RED))


@few
@given(st.sampled_from(Stance), words, times)
def test_an_opinion_is_valid(stance: Stance, why: str, at: datetime) -> None:
    about = stix_id("indicator", 1)
    opinion = OpinionIntel(
        about=about, stance=stance, why=why, organisation=PROFILE.name, tlp=Tlp.GREEN, at=at
    )

    objects = leaving(author_opinion(opinion, mask=MASK), {}, Tlp.GREEN)

    assert_sound(objects)
