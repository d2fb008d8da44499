"""Detections as code in a Git repository: the rule folder, with a commit for each promotion.

The ``git`` program is run with fixed lists of arguments, without a shell, without the user's and
the system's configuration, with hooks and signing off and without ever asking for a password.
Only the files of the rule at hand are committed: what else is staged there stays as it is.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from huntonce.connectors.detections.folder import RuleFolder
from huntonce.models.errors import TerminalError, TransientError

TIMEOUT = 60.0
"""Seconds for one command of git."""
_SAFE = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "commit.gpgSign=false",
    "-c", "core.autocrlf=false",
    "-c", "core.quotePath=false",
    "-c", "protocol.ext.allow=never",
    "-c", "gc.auto=0",
)  # fmt: skip
_LONGEST_SUBJECT = 72


class GitRules:
    """A rule folder inside a Git repository.

    Args:
        path: The folder; a repository is made there where it is in none.
        remote: Name of the remote that each commit is pushed to; "" for none.
        author: Who commits, as "Name <address>".
    """

    def __init__(
        self,
        path: Path,
        name: str = "git",
        *,
        remote: str = "",
        author: str = "Huntonce <huntonce@localhost>",
    ) -> None:
        self._folder = RuleFolder(path, name)
        self._remote = remote
        self._author, _, address = author.partition(" <")
        self._address = address.rstrip("> ") or "huntonce@localhost"

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._folder.name

    def find(self, key: str) -> str | None:
        """The rule's id, where its file is here and not retired."""
        return self._folder.find(key)

    def kept(self, key: str) -> Mapping[str, str] | None:
        """Part to its text in the working tree; None where the rule is not there."""
        return self._folder.kept(key)

    def rules(self) -> tuple[str, ...]:
        """Ids of the rules that are here and not retired, sorted."""
        return self._folder.rules()

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write the rule's files and commit them; the same content again is no commit.

        Raises:
            TerminalError: As for a folder; or git refuses.
            TransientError: Git did not answer in time, or the remote could not be reached.
        """
        rule_id = self._folder.deploy(key, detection)
        name = str(detection.get("detection") or rule_id)
        title = " ".join(str(detection.get("title", "")).split())
        state = str(detection.get("state", "")) or "deployed"
        self._commit(rule_id, f"{name} {state}: {title}", _story(rule_id, detection))
        return rule_id

    def retire(self, remote_id: str) -> None:
        """Move the rule's files to ``retired/`` and commit that; errors as in ``deploy``."""
        self._folder.retire(remote_id)
        rule_id = remote_id.lower()
        self._commit(rule_id, f"Retire {rule_id}", f"Rule: {rule_id}")

    # ------------------------------------------------------------ git

    def _commit(self, rule_id: str, subject: str, body: str) -> None:
        self._make_repository()
        names = list(self._folder.files(rule_id))
        tracked = self._git("ls-files", "-z", "--", *names).split("\0")
        there = [name for name in names if (self._folder.path / name).is_file()]
        paths = sorted({*there, *(name for name in tracked if name)})
        if not paths:
            return
        self._git("add", "--all", "--", *paths)
        if self._git("status", "--porcelain", "-z", "--untracked-files=no", "--", *paths):
            message = f"{subject[:_LONGEST_SUBJECT]}\n\n{body}\n"
            self._git(
                "commit", "--quiet", "--no-verify", "--only", "--file=-", "--", *paths,
                text=message,
            )  # fmt: skip
        if self._remote:
            self._git("push", "--quiet", "--no-verify", "--", self._remote, "HEAD", reaches=True)

    def _make_repository(self) -> None:
        probe = self._run("rev-parse", "--is-inside-work-tree")
        if probe.returncode != 0:
            self._git("init", "--quiet", "--template=")

    def _git(self, *arguments: str, text: str = "", reaches: bool = False) -> str:
        done = self._run(*arguments, text=text)
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[:400] or f"exit code {done.returncode}"
            kind = TransientError if reaches or "index.lock" in said else TerminalError
            raise kind(
                f"git {arguments[0]}: {said}",
                connector=self.name,
                hint="run git status in the rule folder and mend what it says",
            )
        return done.stdout

    def _run(self, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        program = shutil.which("git")
        if program is None:
            raise TerminalError(
                "the program git is not here", connector=self.name, hint="install git"
            )
        command: Sequence[str] = (program, *_SAFE, *arguments)
        try:
            return subprocess.run(  # noqa: S603 - a list of our own words and UUIDs, no shell
                command,
                cwd=self._folder.path,
                env=self._environment(),
                input=text,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError(
                f"git {arguments[0]} did not end in {TIMEOUT:.0f} s", connector=self.name
            ) from error
        except OSError as error:
            raise TerminalError(f"git cannot be run: {error}", connector=self.name) from error

    def _environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "SSH_AUTH_SOCK", "SYSTEMROOT", "TMPDIR")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_AUTHOR_NAME": self._author,
            "GIT_AUTHOR_EMAIL": self._address,
            "GIT_COMMITTER_NAME": self._author,
            "GIT_COMMITTER_EMAIL": self._address,
        }


def _story(rule_id: str, detection: Mapping[str, object]) -> str:
    """The body of a commit: what was proven, in lines."""
    certificate, hunt = detection.get("certificate"), detection.get("hunt")
    lines = [f"Rule: {rule_id}"]
    if isinstance(hunt, Mapping):
        lines.append(f"Hunt: {hunt.get('hunt', '')} {hunt.get('version', '')}".rstrip())
    if isinstance(certificate, Mapping) and certificate.get("seal"):
        lines.append(
            f"Proof: fires on {certificate.get('fired')} of {certificate.get('expected')},"
            f" {certificate.get('alerts_a_day')} false alerts a day"
            f" over {certificate.get('days')} days"
        )
        lines.append(f"Seal: {certificate['seal']}")
    return "\n".join(line[:200] for line in lines)
