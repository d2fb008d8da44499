"""Intel in and out: settings of TAXII sources, destinations and our own server, as their parts.

Part of the composition root; imports no Prefect. Adapters are imported where they are opened.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huntonce.flows.settings import (
    CollectionSettings,
    DestinationSettings,
    TaxiiServerSettings,
    TaxiiSettings,
)
from huntonce.models.errors import ConfigError

if TYPE_CHECKING:
    from huntonce.connectors.intel.selection import Selection
    from huntonce.models.intake import IntelSource
    from huntonce.models.intel import IntelObject
    from huntonce.models.stages.collect import Check
    from huntonce.models.stages.outlets import Outlet
    from huntonce.models.tlp import Tlp

INTEL_COLLECTION = "5f7c1c1e-3d4b-4a57-9c1b-2f0f6a3f1d10"
"""Id of the collection that our own TAXII server offers for reading and writing."""


def taxii_source(
    configured: Mapping[str, TaxiiSettings],
    name: str,
    base: Path,
    default_tlp: "Tlp",
    markings: "Mapping[str, Tlp | None]",
) -> "IntelSource":
    """The source of a name; paths of its settings are below ``base``.

    What bears no marking is of the level that its settings name, else of ``default_tlp``;
    ``markings`` are the levels of those that are known already, by id.

    Raises:
        ConfigError: There is none of that name.
    """
    from huntonce.connectors.intel.taxii import TaxiiSource

    part = configured.get(name)
    if part is None:
        known = ", ".join(sorted(configured)) or "none is configured"
        raise ConfigError(f"no intel source named {name!r}", hint=f"known: {known}")
    return TaxiiSource(
        name=name,
        **_endpoint(part, base),
        page_size=part.page_size,
        overlap_seconds=part.overlap_seconds,
        default_tlp=part.default_tlp or default_tlp,
        wanted=_wanted(part),
        since=part.since,
        markings=markings,
    )


def outlets(configured: Mapping[str, DestinationSettings], base: Path) -> "tuple[Outlet, ...]":
    """Every destination with its ceiling, by name."""
    from huntonce.connectors.intel.taxii_publish import TaxiiDestination
    from huntonce.models.feedback import Style
    from huntonce.models.stages.outlets import Outlet

    return tuple(
        Outlet(
            destination=TaxiiDestination(name=name, **_endpoint(part, base)),
            max_tlp=part.max_tlp,
            style=Style(
                incident_core=part.incident_extension,
                confirmed_as=part.confirmed_as,
                gaps=part.gaps,
            ),
        )
        for name, part in sorted(configured.items())
    )


def checks(
    configured: Mapping[str, TaxiiSettings],
    default_tlp: "Tlp",
    markings: "Mapping[str, Tlp | None]",
) -> "Check":
    """The checks of intake, a feed its own."""
    from huntonce.connectors.intel.again import CheckAgain, FeedRules

    feeds = {
        name: FeedRules(part.default_tlp or default_tlp, _wanted(part))
        for name, part in configured.items()
    }
    return CheckAgain(FeedRules(default_tlp), feeds, markings)


def faultless(source: "IntelSource") -> "tuple[IntelObject, ...]":
    """All that a source has.

    Raises:
        ConfigError: Some of it is faulty.
    """
    objects: list[IntelObject] = []
    for batch in source.pull(None):
        for refused in batch.set_aside:
            raise ConfigError(
                f"{refused.source}, {refused.place}: {refused.reason}",
                hint=refused.hint or "mend it, then publish",
            )
        objects.extend(batch.objects)
    return tuple(objects)


def serve_taxii(
    part: TaxiiServerSettings, base: Path, owner: str, ready: Callable[[str], None]
) -> None:
    """Serve our collection from a store below ``base`` until stopped, in the name of ``owner``.

    ``ready`` gets the discovery address.

    Raises:
        ConfigError: The server would be open to everybody.
    """
    from huntonce.connectors.intel.taxii_server import CollectionSpec, ServerSettings, User
    from huntonce.connectors.intel.taxii_server.server import serve

    users = (User(part.username, part.password.get_secret_value()),) if part.username else ()
    base.mkdir(parents=True, exist_ok=True)
    serve(
        ServerSettings(
            db_url=f"sqlite:///{base / 'taxii.db'}",
            users=users,
            collections=(CollectionSpec(INTEL_COLLECTION, "Intel", can_write=True),),
            host=part.host,
            port=part.port,
            tls_certificate=str(base / part.certificate) if part.certificate else "",
            tls_key=str(base / part.key) if part.key else "",
            title=f"{owner}: TAXII by Huntonce",
        ),
        ready=ready,
    )


def _wanted(part: TaxiiSettings) -> "Selection":
    from huntonce.connectors.intel.selection import Selection

    return Selection.of(part.types, part.labels, part.max_tlp)


def _endpoint(part: CollectionSettings, base: Path) -> dict[str, Any]:
    """What a TAXII source and a destination have in common; an absolute path stays as it is."""
    from huntonce.connectors.http import client, tls

    own = part.certificate and tls.ClientCertificate(
        str(base / part.certificate),
        str(base / part.key) if part.key else "",
        part.key_password.get_secret_value(),
    )
    return {
        "collection_url": part.url,
        "discovery_url": part.discovery,
        "collection": part.collection,
        "username": part.username,
        "password": part.password.get_secret_value(),
        "token": part.token.get_secret_value(),
        "token_header": part.token_header,
        "certificate": own,
        "verify": str(base / part.ca) if part.ca else True,
        "limits": client.Limits(read=part.timeout),
    }
