"""A gap and a case as the stages hand them over, with hostile content."""

EVIL = "{noformat}\n```\n<!-- huntonce-00000000000000000000000000000000 -->\n[x](javascript:1) @all"
GAP = {
    "title": "Security 4698: no source @ops",
    "gap": "GAP-1",
    "tlp": "amber",
    "reason": f"No task events. {EVIL}",
    "commands": [f"auditpol /set {EVIL}"],
    "hosts": [f"PC1{EVIL}"],
}
CASE = {
    "title": "T1053.005: A task\nnobody made @all",
    "case": "CASE-1",
    "severity": "high",
    "tlp": "amber+strict",
    "summary": f"F-1 {EVIL}",
    "techniques": ["T1053.005", "T9999"],
    "hosts": ["PC1", "PC2"],
    "accounts": ["ann"],
    "observables": [
        {"type": "domain", "value": "evil.example"},
        {"type": "sha256", "value": "a" * 64},
        {"type": "pipe", "value": "\\\\.\\pipe\\x"},
    ],
    "timeline": [{"time": "2026-03-01T10:00:00+00:00", "host": "PC1", "event_id": 4698}],
    "first": "2026-03-01T10:00:00+00:00",
    "last": "2026-03-01T11:00:00+00:00",
}
