"""Traces of a scheduled task below its registration: its file and its registry keys in Sysmon."""

import re

from huntonce.models.analytics.records import Row, text_of

_NOUGHT = re.compile(r"DWORD \(0x0{1,8}\)")


def task_of_trace(row: Row) -> str:
    """The task that a Sysmon 11/12/13 event on the task folder or TaskCache is about."""
    path = text_of(row, "TargetFilename", "TargetObject")
    for mark in ("\\system32\\tasks\\", "\\syswow64\\tasks\\", "\\taskcache\\tree\\"):
        at = path.casefold().find(mark)
        if at >= 0:
            name = path[at + len(mark) :]
            # A value set under the key ends in the value's name (Id, Index, SD).
            parent, _, leaf = name.rpartition("\\")
            return parent if leaf.casefold() in {"id", "index", "sd"} and parent else name
    return ""


def concealing(row: Row) -> str:
    """How a Sysmon 12/13 event takes a task out of sight; "" where it does not.

    Without the value SD under its TaskCache key, or with an Index of nought, a task runs and no
    tool lists it. Who deletes a task deletes its key, not the one value.
    """
    path = text_of(row, "TargetObject").casefold()
    if "\\taskcache\\tree\\" not in path:
        return ""
    by = text_of(row, "Image").rsplit("\\", 1)[-1] or "an unknown process"
    leaf, kind = path.rpartition("\\")[2], text_of(row, "EventType").casefold()
    if leaf == "sd" and kind == "deletevalue":
        return f"{by} deleted its security descriptor"
    if leaf == "index" and kind == "setvalue" and _NOUGHT.fullmatch(text_of(row, "Details")):
        return f"{by} set its index to 0"
    return ""
