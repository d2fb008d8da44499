"""Rules of configured folders, by the techniques that they are tagged with, over a SIEM."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.pack import CompiledRule, RulePack
from huntonce.connectors.sigma.packcache import load_pack, rule_files
from huntonce.connectors.sigma.rules import load_documents
from huntonce.models.errors import DomainError
from huntonce.models.ids import digest
from huntonce.models.ports import Siem
from huntonce.models.rulelook import ask_rule
from huntonce.models.rules import RuleLook, RuleMatches, RuleText, RuleUnseen
from huntonce.models.windows import Window

Resolve = Callable[[str], tuple[str, ...]]
"""A technique id of any ATT&CK version to the ids that stand for it in ours."""


class TaggedRules:
    """The rule book over rule folders (``RuleBook``).

    Args:
        paths: Files and folders of Sigma rules.
        cache: Where compiled rules are kept.
        lake: Folder of the embedded lake: over it one sweep says which rules match at all. None:
            every rule is a search of its own.
    """

    def __init__(
        self, paths: Sequence[Path], cache: Path | None, resolve: Resolve, lake: Path | None
    ) -> None:
        self._paths = tuple(paths)
        self._cache = cache
        self._resolve = resolve
        self._lake = lake

    @cached_property
    def _pack(self) -> RulePack:
        return load_pack(self._paths, self._cache)

    @cached_property
    def _tagged(self) -> dict[str, list[CompiledRule]]:
        """Technique to its rules."""
        tagged: dict[str, list[CompiledRule]] = {}
        for rule in self._pack.rules:
            for technique_id in self._techniques_of(rule):
                tagged.setdefault(technique_id, []).append(rule)
        return tagged

    def _techniques_of(self, rule: CompiledRule) -> set[str]:
        found: set[str] = set()
        for tag in rule.tags:
            name = tag.removeprefix("attack.")
            if name != tag and name[:1] == "t" and name[1:5].isdecimal():
                found.update(self._resolve(name.upper()))
        return found

    @cached_property
    def _texts(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Rule id to its text and document; read only once a technique is hunted with rules."""
        texts: dict[str, tuple[str, dict[str, Any]]] = {}
        for file in rule_files(self._paths):
            try:
                documents = load_documents(Path(file.path).read_text(encoding="utf-8-sig"))
            except (UnicodeDecodeError, DomainError):
                continue  # the pack has said so
            for document in documents:
                if isinstance(document, dict) and "detection" in document:
                    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
                    texts.setdefault(str(document.get("id") or file.source), (text, document))
        return texts

    def version(self, technique_id: str) -> str:
        """Hash of what the rules tagged with a technique search for; "" where there are none."""
        rules = self._tagged.get(technique_id, ())
        return digest(sorted((rule.id, rule.fingerprint) for rule in rules))[:16] if rules else ""

    def techniques(self) -> frozenset[str]:
        """Every technique that a rule is tagged with."""
        return frozenset(self._tagged)

    def look(self, technique_id: str, siem: Siem, window: Window) -> RuleLook:
        """What the rules tagged with a technique match.

        Raises:
            TransientError: The SIEM did not answer.
        """
        rules = self._tagged.get(technique_id, [])
        matches: list[RuleMatches] = []
        unseen: list[RuleUnseen] = []
        asked = rules
        if self._lake is not None:
            pack = RulePack(
                rules=tuple(rules), correlations=(), unsupported=(), files=0, found=len(rules)
            )
            report = sweep(self._lake, pack, window=window)
            hit = {one.id for one in report.hits}
            unseen = [
                RuleUnseen(title=one.title, reason=f"{one.reason}: {', '.join(one.sources)}")
                for one in report.blind
                if not one.partly
            ]
            blind = {one.id for one in report.blind if not one.partly}
            asked = [rule for rule in rules if rule.id in hit - blind]
        for rule in asked:
            found = self._search(rule, siem, window, unseen)
            if found is not None and found.table.num_rows:
                matches.append(found)
        silent = len(rules) - len(matches) - len(unseen)
        return RuleLook(
            rules=len(rules), silent=silent, matches=tuple(matches), unseen=tuple(unseen)
        )

    def _search(
        self, rule: CompiledRule, siem: Siem, window: Window, unseen: list[RuleUnseen]
    ) -> RuleMatches | None:
        if rule.id not in self._texts:
            unseen.append(RuleUnseen(title=rule.title, reason="its file is gone"))
            return None
        text, document = self._texts[rule.id]
        if rule.filters and self._lake is None:
            reason = "Sigma filters in other files work on the lake only"
            unseen.append(RuleUnseen(title=rule.title, reason=reason))
            return None
        told = document.get("falsepositives")
        answer = ask_rule(
            siem,
            RuleText(
                id=rule.id,
                title=rule.title,
                text=text,
                level=rule.level,
                author=rule.author,
                falsepositives=tuple(map(str, told)) if isinstance(told, list) else (),
            ),
            window,
        )
        if isinstance(answer, RuleUnseen):
            unseen.append(answer)
            return None
        return answer
