"""Events from commands, so that a running ``huntonce serve`` reacts at once. Imports no Prefect.

Best effort: the schedules find the same work later where a signal does not arrive.
"""

import base64
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path

import httpx

from huntonce.flows.bootstrap import Home

PLACE = Path("prefect") / "api.json"
"""Where ``huntonce serve`` leaves the address of its API, in the home."""
WITHIN = 3.0


def signal(home: Home, event: str, subject: str, **payload: object) -> bool:
    """Tell the Prefect server of ``huntonce.<event>``; whether it took it.

    The server is PREFECT_API_URL, else the one that serves this home.
    """
    api = server_of(home.path)
    if not api:
        return False
    kind = event.split(".", 1)[0]
    body = {
        "id": str(uuid.uuid4()),
        "occurred": home.clock().isoformat(),
        "event": f"huntonce.{event}",
        "resource": {
            "prefect.resource.id": f"huntonce.{kind}.{subject}",
            "prefect.resource.name": subject,
            "huntonce.by": "cli",
        },
        "payload": {"subject": subject, **payload},
    }
    with suppress(httpx.HTTPError):
        sent = httpx.post(f"{api}/events", json=[body], headers=login(), timeout=WITHIN)
        return sent.is_success
    return False


def leave_address(home: Path, api_url: str) -> Path:
    """Write down where the API of this home's server is; the file, to be removed at the end."""
    path = home / PLACE
    path.write_text(json.dumps({"url": api_url}))
    return path


def server_of(home: Path) -> str:
    """Address of the API that a home's commands speak to; empty where there is none."""
    named = os.environ.get("PREFECT_API_URL", "")
    if named:
        return named
    try:
        found = json.loads((home / PLACE).read_text())
    except (OSError, ValueError):
        return ""
    return str(found.get("url", "")) if isinstance(found, dict) else ""


def login() -> dict[str, str]:
    """Headers that a server behind a login wants, where the environment has one."""
    pair = os.environ.get("PREFECT_API_AUTH_STRING", "")
    if not pair:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
