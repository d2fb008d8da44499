"""Events that automations may react to: huntonce.intel.updated, huntonce.hunt.concluded ...

Each carries the label ``huntonce.by``, the flow that tells of it. The loop does by itself what
the triggers of prefect.yaml do for single flows, so they listen to single flows only.
"""

from prefect.events import emit_event
from prefect.runtime import flow_run


def announce(event: str, subject: str, **payload: object) -> None:
    """Emit ``huntonce.<event>`` about a subject; ids and counts only, never content."""
    kind = event.split(".", 1)[0]
    emit_event(
        event=f"huntonce.{event}",
        resource={
            "prefect.resource.id": f"huntonce.{kind}.{subject}",
            "prefect.resource.name": subject,
            "huntonce.by": flow_run.flow_name or "",
        },
        payload={"subject": subject, **payload},
    )
