"""One spelling for what logs spell in many ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics import forms
from huntonce.models.errors import DomainError


@pytest.mark.parametrize(
    ("told", "plain"),
    [
        (r"\??\C:\Tools\a.sys", r"C:\Tools\a.sys"),
        (r"%SystemRoot%\System32\svchost.exe", r"C:\Windows\System32\svchost.exe"),
        (r"%%SystemRoot%%\x.exe", r"C:\Windows\x.exe"),
        (r"\SystemRoot\System32\drivers\a.sys", r"C:\Windows\System32\drivers\a.sys"),
        (r"System32\drivers\a.sys", r"C:\Windows\System32\drivers\a.sys"),
        (r"\Device\HarddiskVolume3\Users\a.exe", r"C:\Users\a.exe"),
        ('"C:/PROGRA~1/x/y.exe"', r"C:\Program Files\x\y.exe"),
        (r"\\srv\share\a.exe", r"\\srv\share\a.exe"),
    ],
)
def test_paths_have_one_spelling(told: str, plain: str) -> None:
    assert forms.path(told) == plain


@given(st.text(max_size=200))
def test_a_path_in_its_form_stays_as_it_is(text: str) -> None:
    once = forms.path(text)

    assert forms.path(once) == forms.path(forms.path(once))


@pytest.mark.parametrize(
    ("line", "program"),
    [
        (r'"C:\Program Files\A B\c.exe" -k x', r"C:\Program Files\A B\c.exe"),
        (r"C:\Program Files\A B\c.exe -k x", r"C:\Program Files\A B\c.exe"),
        (r"%COMSPEC% /b /c start", "%COMSPEC%"),
        (r"system32\svchost.exe -k netsvcs", r"C:\Windows\system32\svchost.exe"),
    ],
)
def test_the_program_of_a_command_line(line: str, program: str) -> None:
    assert forms.program(line) == program


def test_what_shells_ignore_is_ignored() -> None:
    assert forms.command('p^ow""er`shell   -e  x') == "powershell -e x"


@given(st.integers(0, 2**32))
def test_numbers_are_one_in_both_spellings(number: int) -> None:
    assert forms.number(hex(number)) == forms.number(str(number)) == str(number)


@pytest.mark.parametrize("text", ["", "-", "::1", "127.0.0.1", ".", "localhost"])
def test_this_very_host_is_no_host(text: str) -> None:
    assert forms.host(text) == ""


def test_hosts_accounts_and_sids() -> None:
    assert forms.host("\\\\srv1.corp.example") == "SRV1"
    assert forms.host("::ffff:10.0.0.9") == "10.0.0.9"
    assert forms.account("-\\ann") == "ann"
    assert forms.account("-") == ""
    assert forms.sid("%{S-1-5-32-544}") == "S-1-5-32-544"


def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DomainError, match="no form"):
        forms.form("pathh")


@given(st.sampled_from(sorted(forms.FORMS)), st.text(max_size=300))
def test_no_text_breaks_a_form(name: str, text: str) -> None:
    assert isinstance(forms.form(name)(text), str)
