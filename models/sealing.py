"""Sealing: what a certificate is pinned to, and what no longer stands as it was certified."""

from collections.abc import Iterable
from dataclasses import asdict, replace

from huntonce.models.detecting import canonical_sha256
from huntonce.models.detection import Certificate, Detection, Fixture
from huntonce.models.ids import digest


def filters_sha256(filters: Iterable[str]) -> str:
    """Hash of the filters' meaning, in their order; "" where there are none."""
    pinned = [canonical_sha256(text) for text in filters]
    return digest(pinned) if pinned else ""


def fixtures_sha256(fixtures: Iterable[Fixture]) -> str:
    """Hash of the kept events, whatever their order; "" where there are none."""
    pinned = sorted((f.ref.uid, f.malicious, f.body) for f in fixtures)
    return digest(pinned) if pinned else ""


def seal_of(certificate: Certificate) -> str:
    """The seal that a certificate must carry."""
    return digest(asdict(replace(certificate, seal="")))


def sealed(certificate: Certificate) -> Certificate:
    """The certificate with its seal."""
    return replace(certificate, seal=seal_of(certificate))


def same_proof(one: Certificate | None, other: Certificate | None) -> bool:
    """Whether two certificates say the same of the same things, whenever they were issued."""
    if one is None or other is None:
        return one is other
    return replace(one, issued_at=None, seal="") == replace(other, issued_at=None, seal="")


def broken(detection: Detection, fixtures: Iterable[Fixture]) -> tuple[str, ...]:
    """What of a detection is no longer what its certificate was issued for, in words.

    Empty where the proof still speaks of the rule, filters and fixtures as they are.
    """
    certificate = detection.certificate
    if certificate is None:
        return ("it has no certificate",)
    if not certificate.seal:
        return ("its certificate is of an older form, without a seal",)
    found = []
    if certificate.seal != seal_of(certificate):
        found.append("its certificate was changed after it was issued")
    if certificate.rule_sha256 != canonical_sha256(detection.rule):
        found.append("its rule was changed after it was certified")
    if certificate.filters_sha256 != filters_sha256(detection.filters):
        found.append("its filters were changed after it was certified")
    if certificate.fixtures_sha256 != fixtures_sha256(fixtures):
        found.append("its kept events were changed after it was certified")
    return tuple(found)


def changes(before: Certificate, after: Certificate) -> tuple[str, ...]:
    """What a new run shows that the earlier certificate did not say, in words."""
    told = []
    if before.holds != after.holds:
        told.append("it holds again" if after.holds else "it does not hold any more")
    if before.rule_sha256 != after.rule_sha256:
        told.append("the rule is another")
    if before.filters_sha256 != after.filters_sha256:
        told.append("the filters are others")
    if before.engine and before.engine != after.engine:
        told.append(f"run by {after.engine}, before by {before.engine}")
    if (before.fired, before.expected) != (after.fired, after.expected):
        told.append(
            f"fires on {after.fired} of {after.expected}, before on"
            f" {before.fired} of {before.expected}"
        )
    low, high = after.interval
    if low > before.interval[1] or high < before.interval[0]:
        louder = "louder" if low > before.interval[1] else "quieter"
        told.append(
            f"{louder}: {after.alerts_a_day:.2f} false alerts a day"
            f" [{low:.2f} to {high:.2f}], before {before.alerts_a_day:.2f}"
            f" [{before.interval[0]:.2f} to {before.interval[1]:.2f}]"
        )
    if set(before.unexercised) != set(after.unexercised):
        told.append(f"never exercised: {', '.join(after.unexercised) or 'nothing any more'}")
    if before.allows is not after.allows:
        told.append(f"supports status {after.allows.value}, before {before.allows.value}")
    return tuple(told)
