"""What settings mean to the stages: the organisation's profile with its assets, and the policy."""

import logging
from datetime import timedelta
from pathlib import Path

from huntonce.flows.assets import read_assets
from huntonce.flows.settings import DAYS, Settings
from huntonce.models.approval import CHANGES, Approver, Rule
from huntonce.models.errors import ConfigError, DomainError
from huntonce.models.policy import Policy
from huntonce.models.profile import Asset, ChangeWindow, Profile

_LOG = logging.getLogger(__name__)


def profile_of(settings: Settings, home: Path) -> Profile:
    """The organisation's profile, with its asset list read.

    Raises:
        ConfigError: A change window or the asset list is wrong.
    """
    part = settings.organisation
    try:
        windows = tuple(
            ChangeWindow(
                days=tuple(DAYS.index(day) for day in window.days),
                start=window.start,
                end=window.end,
                zone=window.zone,
            )
            for window in part.change_windows
        )
    except DomainError as error:
        raise ConfigError(f"organisation.change_windows: {error}") from error
    return Profile(
        name=part.name,
        sectors=tuple(part.sectors),
        regions=tuple(part.regions),
        platforms=tuple(platform.casefold() for platform in part.platforms),
        technologies=tuple(part.technologies),
        change_windows=windows,
        privileged_accounts=tuple(part.privileged_accounts),
        task_authors=tuple(part.task_authors),
        internal_names=tuple(part.internal_names),
        internal_networks=tuple(part.internal_networks),
        assets=_assets(home / part.assets) if part.assets else (),
        gap_owner=part.gap_owner,
    )


def _assets(path: Path) -> tuple[Asset, ...]:
    found = read_assets(path)
    if found.remarks:
        _LOG.warning("%s: %s (huntonce doctor lists them)", path, found.told())
    return found.assets


def policy_of(settings: Settings) -> Policy:
    """The policy that stages are given."""
    part = settings.policy
    return Policy(
        power_floor=part.power_floor,
        default_tlp=part.default_tlp,
        approvals={
            change: Rule(
                mode=getattr(part, change),
                threshold=getattr(part.thresholds, change),
                people=2 if change in part.two_people else 1,
            )
            for change in CHANGES
        },
        approvers={
            name: Approver(token=one.token.get_secret_value(), may=tuple(one.may))
            for name, one in settings.approvers.items()
        },
        proposal_life=timedelta(hours=part.proposal_hours),
        silent_for=timedelta(seconds=part.silent_seconds),
        gap_passes=part.gap_passes,
        rule_author=part.rule_author,
        max_alerts_a_day=part.max_alerts_a_day,
        replay_days=part.replay_days,
        test_days=part.test_days,
        stable_days=part.stable_days,
        stale_days=part.stale_days,
        max_lag=timedelta(hours=part.max_lag_hours),
        identities=tuple(settings.organisation.identities),
    )
