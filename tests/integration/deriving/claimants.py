"""What the parallel hunters do; a module of its own, so that other processes can import it."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from huntonce.models.intel import IntelObject
from huntonce.models.ledger import NotDueError
from huntonce.models.stages.hypothesise import hypothesise, ledger
from huntonce.models.stages.operate import finish, look_for, start
from huntonce.models.state.store import open_store
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window
from tests.support.builders import window
from tests.support.kits import Bench, bench, quiet_day, with_kit

PATTERN = "attack-pattern--005a06c6-14bf-4118-afa0-ebcd8aebb0c9"
CREATED = "2026-02-01T00:00:00Z"
WINDOW = window(24)


def intel() -> list[IntelObject]:
    """An actor who uses scheduled tasks, and two more techniques."""
    found = []
    techniques = {
        PATTERN: "T1053.005",
        PATTERN[:-1] + "1": "T1059.001",
        PATTERN[:-1] + "2": "T1047",
    }
    group = "intrusion-set--00000000-0000-4000-8000-000000000001"
    contents: list[dict[str, object]] = [{"type": "intrusion-set", "id": group, "name": "HERON"}]
    for number, (stix_id, technique_id) in enumerate(techniques.items()):
        reference = {"source_name": "mitre-attack", "external_id": technique_id}
        contents += [
            {"type": "attack-pattern", "id": stix_id, "name": technique_id,
             "external_references": [reference]},
            {"type": "relationship", "id": f"relationship--00000000-0000-4000-8000-{number:012d}",
             "relationship_type": "uses", "source_ref": group, "target_ref": stix_id},
        ]  # fmt: skip
    for content in contents:
        whole = {**content, "spec_version": "2.1", "created": CREATED, "modified": CREATED}
        found.append(
            IntelObject(
                id=str(content["id"]),
                type=str(content["type"]),
                spec_version="2.1",
                version=CREATED,
                created_by="",
                revoked=False,
                tlp=Tlp.GREEN,
                body=repr(whole).replace("'", '"').encode(),
                content=whole,
            )
        )
    return found


def hunter(address: str, folder: str) -> Bench:
    """A bench over the shared store, with a SIEM of its own that holds the same."""
    made = bench(Path(folder), quiet_day(no_line=(), channel=True))
    store = open_store(address, clock=made.clock)
    return with_kit(made, open_unit=store.unit)


def derive(address: str, folder: str) -> list[str]:
    """Derive from the stored intel; the ids of what this one added."""
    return list(hypothesise(hunter(address, folder).kit).new)


def hunt_what_is_due(address: str, folder: str) -> list[str]:
    """One loop's hunts: the windows that this one claimed."""
    kit = hunter(address, folder).kit
    made = hypothesise(kit)
    (task,) = [h for h in made.hypotheses if h.technique_id == "T1053.005"]
    hunted: list[str] = []
    answer = ledger(kit, task, WINDOW)
    for span in answer.windows:
        try:
            run, sight, gaps = start(kit, task, span, answer, once=True)
        except NotDueError:
            continue
        finish(kit, run, look_for(kit, task, sight, gaps))
        hunted.append(str(Window(run.start, run.end)))
    return hunted


def threads(job: str, address: str, folders: list[str]) -> list[list[str]]:
    """What one thread a folder answered."""
    work = {"derive": derive, "hunt": hunt_what_is_due}[job]
    with ThreadPoolExecutor(len(folders)) as pool:
        return list(pool.map(lambda folder: work(address, folder), folders))


def processes(job: str, address: str, folder: Path, count: int, each: int) -> list[list[str]]:
    """What ``count`` processes of ``each`` threads answered; new interpreters, no fork."""
    folders = [[str(folder / f"{p}-{t}") for t in range(each)] for p in range(count)]
    with get_context("spawn").Pool(count) as pool:
        answers = pool.starmap(threads, [(job, address, mine) for mine in folders])
    return [one for answer in answers for one in answer]
