"""Events that automations may react to: huntonce.intel.updated, huntonce.hunt.concluded ..."""

from prefect.events import emit_event


def announce(event: str, subject: str, **payload: object) -> None:
    """Emit ``huntonce.<event>`` about a subject; ids and counts only, never content."""
    kind = event.split(".", 1)[0]
    emit_event(
        event=f"huntonce.{event}",
        resource={
            "prefect.resource.id": f"huntonce.{kind}.{subject}",
            "prefect.resource.name": subject,
        },
        payload=payload,
    )
