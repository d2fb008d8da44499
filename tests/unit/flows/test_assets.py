"""Asset lists as companies keep them."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from huntonce.flows import assets as module
from huntonce.flows.assets import AssetList, read_assets
from huntonce.flows.assetwords import platform_of
from huntonce.flows.csvrows import MAX_BYTES
from huntonce.models.errors import ConfigError
from huntonce.models.profile import Asset

NOV_2 = datetime(2026, 11, 2, tzinfo=UTC)


def read(tmp_path: Path, text: str | bytes) -> AssetList:
    path = tmp_path / "assets.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_assets(path)


def only(found: AssetList) -> Asset:
    (asset,) = found.assets
    return asset


@pytest.mark.parametrize(
    "header",
    [
        "host,platform,owner",
        "Host, Platform ,OWNER",
        "Hostname,OS,Owner",
        "Computer Name,Operating System,Department",
        "computer_name,os_name,Managed By",
        "FQDN,OperatingSystem,Team",
        "Name,OS,Support Group",
        '"DNSHostName","OperatingSystem","ManagedBy"',
    ],
)
def test_columns_go_by_the_names_that_companies_use(tmp_path: Path, header: str) -> None:
    found = read(tmp_path, f"{header}\nPC1.corp.example,Windows 10 Enterprise,Desktop team\n")

    asset = only(found)
    assert (asset.name, asset.platform, asset.owner) == ("PC1", "windows", "Desktop team")
    assert found.remarks == ()


def test_the_telling_column_has_the_host_and_another_one_fills_in(tmp_path: Path) -> None:
    text = "Name,Hostname,FQDN\nAnn Miller,PC1,\nBob,,pc2.corp.example\n"

    assert [a.host for a in read(tmp_path, text).assets] == ["PC1", "pc2.corp.example"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_encodings_and_line_ends(
    tmp_path: Path, separator: str, encoding: str, end: str
) -> None:
    rows = [("Host", "Owner", "OS"), ("PC1", "Büro Süd", "Windows 11 Pro"), ("PC2", "", "")]
    text = "".join(separator.join(row) + end for row in rows)

    found = read(tmp_path, text.encode(encoding))

    assert [(a.host, a.owner, a.platform) for a in found.assets] == [
        ("PC1", "Büro Süd", "windows"),
        ("PC2", "", "windows"),
    ]


@pytest.mark.parametrize("before", ["sep=;\n", '"sep=;"\r\n', "\n\n", "#TYPE System.Object\n"])
def test_what_programs_put_above_the_header_is_passed_over(tmp_path: Path, before: str) -> None:
    found = read(tmp_path, f"{before}Host;OS\nPC1;Windows\nbad name;Windows\n")

    assert only(found).host == "PC1"
    assert found.remarks[0].line == len((before + "Host;OS\nPC1;Windows\nb").splitlines())


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("", "windows"),
        ("n/a", "windows"),
        ("windows", "windows"),
        ("win", "windows"),
        ("Win10", "windows"),
        ("WIN_SRV_2019", "windows"),
        ("W11 Enterprise", "windows"),
        ("Windows 10 Enterprise", "windows"),
        ("Windows Server 2019", "windows"),
        ("Microsoft® Windows Server® 2008", "windows"),
        ("WindowsServer2022", "windows"),
        ("Server 2016 Standard", "windows"),
        ("Darwin 23", "macos"),
        ("macOS 14.2", "macos"),
        ("Ubuntu 22.04", "linux"),
        ("Red Hat Enterprise Linux 9", "linux"),
        ("Cisco IOS XE", "network devices"),
        ("iOS 17", "mobile"),
        ("VMware ESXi 8", "esxi"),
        ("AIX 7", "unix"),
        ("Fenster", None),
    ],
)
def test_operating_systems_are_of_platforms(text: str, platform: str | None) -> None:
    assert platform_of(text) == platform


def test_other_platforms_are_out_of_scope_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    found = read(tmp_path, "host,os\nPC1,Windows 10\nWEB1,Debian 12\nMAC1,macOS\nX1,Fenster 9\n")

    assert {a.name: a.platform for a in found.assets} == {
        "PC1": "windows",
        "WEB1": "linux",
        "MAC1": "macos",
        "X1": "windows",
    }
    assert found.in_scope == 2
    assert found.elsewhere == {"linux": 1, "macos": 1}
    assert [(r.line, r.dropped) for r in found.remarks] == [(5, False)]
    assert "'Fenster 9' is not known" in found.remarks[0].reason


@pytest.mark.parametrize(
    ("cell", "host"),
    [
        (" PC1 ", "PC1"),
        ("CORP\\PC1$", "PC1"),
        ("pc1.corp.example.", "pc1.corp.example"),
        ("PC_1", "PC_1"),
        ("BÜRO-1", "BÜRO-1"),
    ],
)
def test_names_of_hosts(tmp_path: Path, cell: str, host: str) -> None:
    assert only(read(tmp_path, f"host\n{cell}\n")).host == host


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("PC 1,,", "no name of a host"),
        ("10.0.0.7,,", "is an address"),
        ("PC1..corp,,", "no name of a host"),
        (",Windows 10,", "names no host"),
        ("PC9,Windows 10, Enterprise,Desktop team", "4 cells under 3 titles"),
        ('PC9,"Windows 10,Desktop', "a quote in it"),
        ('PC9,"a"b,', "a quote in it"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_costs_no_other(
    tmp_path: Path, row: str, reason: str
) -> None:
    found = read(tmp_path, f"host,os,owner\nPC1,,\n{row}\nPC2,,A\nPC3\n,,\n\n")

    assert [a.host for a in found.assets] == ["PC1", "PC2", "PC3"]
    (remark,) = found.remarks
    assert (remark.line, remark.dropped) == (3, True)
    assert reason in remark.reason
    assert "1 row set aside; the first: line 3: " in found.told()


def test_a_cell_over_several_lines_is_one_cell(tmp_path: Path) -> None:
    found = read(tmp_path, 'host,owner\nPC1,"Desktop\nteam, Hamburg"\nPC 2,\nPC3,\n')

    assert [(a.host, a.owner) for a in found.assets] == [
        ("PC1", "Desktop team, Hamburg"),
        ("PC3", ""),
    ]
    assert [r.line for r in found.remarks] == [4]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-02", NOV_2),
        ("02.11.2026", NOV_2),
        ("2.11.2026 8:00", NOV_2.replace(hour=8)),
        ("2026-11-02 08:00", NOV_2.replace(hour=8)),
        ("2026-11-02T09:00+01:00", NOV_2.replace(hour=8)),
        ("n/a", None),
        ("", None),
    ],
)
def test_dates(tmp_path: Path, text: str, moment: datetime | None) -> None:
    found = read(tmp_path, f"host,joined\nPC1,{text}\n")

    assert only(found).joined == moment
    assert found.remarks == ()


@pytest.mark.parametrize("text", ["11/02/2026", "45964", "soon", "31.02.2026", "0001-01-01T00+14"])
def test_a_date_that_is_none_is_left_out_and_its_host_stays_in_scope(
    tmp_path: Path, text: str
) -> None:
    found = read(tmp_path, f"host,joined\nPC1,{text}\n")

    assert only(found).joined is None
    assert [(r.line, r.dropped) for r in found.remarks] == [(2, False)]
    assert "is no date" in found.remarks[0].reason
    assert ("which part is the day" in found.remarks[0].reason) == ("/" in text)


def test_a_host_that_left_before_it_joined_is_in_scope_throughout(tmp_path: Path) -> None:
    found = read(tmp_path, "host,joined,left\nPC1,2026-11-02,2026-11-01\n")

    assert (only(found).joined, only(found).left) == (None, None)
    assert "left before it joined" in found.remarks[0].reason


def test_a_host_named_twice_is_one_with_all_that_is_said_of_it(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "host,role,ip,joined,left\nDC1,file server,,2026-11-02,2026-12-01\n"
        "dc1.corp.example,DC,10.0.0.1,2026-11-01,\nDC1,dc,,2026-11-05,2026-11-06\n",
    )

    asset = only(found)
    assert (asset.host, asset.ip) == ("dc1.corp.example", "10.0.0.1")
    assert asset.role == "file server / DC"
    assert (asset.joined, asset.left) == (datetime(2026, 11, 1, tzinfo=UTC), None)
    assert found.repeated == 2
    assert found.remarks == ()


def test_two_hosts_with_one_short_name_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, "host,os\npc1.a.example,Linux\npc1.b.example,Windows\n")

    assert only(found).platform == "windows"
    assert ["cannot tell them apart" in r.reason for r in found.remarks] == [True, False]
    assert all("line 2" in r.reason and not r.dropped for r in found.remarks)


def test_an_address_is_taken_from_several_and_none_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, 'host,ip\nPC1,"dhcp, 10.0.0.1; 10.0.0.2"\nPC2,dhcp\nPC3,fe80::1%x\n')

    assert [a.ip for a in found.assets] == ["10.0.0.1", "", ""]
    assert [r.line for r in found.remarks] == [3, 4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("colour,size\nred,3\n", "no column 'host' among colour, size"),
        ("host,os\n", "names no host"),
        ("host\nPC 1\n", "names no host; line 2"),
        ("host,os\nWEB1,Linux\nWEB2,Debian\n", r"none of its hosts runs Windows \(2 linux\)"),
        (b"PK\x03\x04rest", "a workbook"),
        (b"host\n\x81\x8d\n", "no text"),
        (b"host\nPC\x001\n", "no text"),
        (b"host\n" + b"x" * MAX_BYTES, "larger than"),
    ],
)
def test_what_is_refused_as_a_whole(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read(tmp_path, text)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)

    with pytest.raises(ConfigError, match="more than 3 rows"):
        read(tmp_path, "host\nA\nB\nC\nD\n")


# ---------------------------------------------------------------- properties

_FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
_PLAIN = st.text("abcXYZ019 ,;|\t\"'äß\n", max_size=12)
_HOST = st.from_regex(r"\A[A-Za-z][A-Za-z0-9-]{0,8}(\.[a-z]{1,5})?\Z")


@_FEW
@given(
    table=st.lists(st.tuples(_HOST, _PLAIN, _PLAIN), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_what_a_program_writes_is_read_back(
    tmp_path: Path, table: list[tuple[str, str, str]], separator: str, encoding: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerows([("Hostname", "Role", "Team"), *table])

    found = read(tmp_path, out.getvalue().encode(encoding))

    assert not any(remark.dropped for remark in found.remarks)
    assert {a.name for a in found.assets} == {h.split(".")[0].upper() for h, _, _ in table}
    assert len(found.assets) + found.repeated == len(table)
    first_owner = {}
    for host, _, owner in table:
        name = host.split(".", maxsplit=1)[0].upper()
        first_owner[name] = first_owner.get(name) or " ".join(owner.split())
    assert {a.name: a.owner for a in found.assets} == first_owner


@_FEW
@given(st.lists(st.text('PC1,;"\n\r\t .äWindows/-', max_size=25), max_size=12))
@example(['PC1,"', "PC2,", "PC3"])
def test_each_row_is_a_host_or_told_whatever_stands_in_it(tmp_path: Path, drawn: list[str]) -> None:
    lines = "\n".join(drawn).replace("\r", "\n").split("\n")
    text = "host,os\nSURE1,Windows\n" + "\n".join(lines) + "\nSURE2,Windows\n"

    found = read(tmp_path, text)

    names = {asset.name for asset in found.assets}
    assert {"SURE1", "SURE2"} <= names
    dropped = sum(remark.dropped for remark in found.remarks)
    quotes = any('"' in line for line in lines)
    written = sum(bool(line.replace(",", "").strip(' \t"')) for line in lines) + 2
    assert quotes or len(found.assets) + found.repeated + dropped == written


@_FEW
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused_in_words(tmp_path: Path, data: bytes) -> None:
    for start in (b"", b"host\nPC1\n", b"\xff\xfe"):
        try:
            found = read(tmp_path, start + data)
        except ConfigError:
            continue
        assert found.assets
