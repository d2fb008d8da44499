"""Programs as process events describe them: version resource, publisher, hash."""

import hashlib
from functools import lru_cache
from typing import NamedTuple

WINDOWS = "Microsoft® Windows® Operating System"
MICROSOFT = "Microsoft Corporation"
BUILD = "10.0.19041.5072 (WinBuild.160101.0800)"


class Version(NamedTuple):
    """The version resource of a file."""

    version: str
    description: str
    product: str
    company: str
    original: str


_WINDOWS_FILES = {
    "backgroundtaskhost.exe": "Background Task Host",
    "cmd.exe": "Windows Command Processor",
    "conhost.exe": "Console Window Host",
    "cscript.exe": "Microsoft ® Console Based Script Host",
    "dllhost.exe": "COM Surrogate",
    "explorer.exe": "Windows Explorer",
    "gpupdate.exe": "Microsoft® Group Policy Update Utility",
    "mmc.exe": "Microsoft Management Console",
    "mshta.exe": "Microsoft (R) HTML Application host",
    "notepad.exe": "Notepad",
    "powershell.exe": "Windows PowerShell",
    "regsvr32.exe": "Microsoft(C) Register Server",
    "rundll32.exe": "Windows host process (Rundll32)",
    "runtimebroker.exe": "Runtime Broker",
    "schtasks.exe": "Task Scheduler Configuration Tool",
    "searchfilterhost.exe": "Microsoft Windows Search Filter Host",
    "searchprotocolhost.exe": "Microsoft Windows Search Protocol Host",
    "svchost.exe": "Host Process for Windows Services",
    "taskhostw.exe": "Host Process for Windows Tasks",
    "taskmgr.exe": "Task Manager",
    "userinit.exe": "Userinit Logon Application",
    "usoclient.exe": "UsoClient",
    "wmiprvse.exe": "WMI Provider Host",
    "wscript.exe": "Microsoft ® Windows Based Script Host",
}
_OTHERS = {
    "msedge.exe": ("130.0.2849.68", "Microsoft Edge", "Microsoft Edge", MICROSOFT),
    "microsoftedgeupdate.exe": (
        "1.3.195.31",
        "Microsoft Edge Update",
        "Microsoft Edge Update",
        MICROSOFT,
    ),
    "chrome.exe": ("130.0.6723.92", "Google Chrome", "Google Chrome", "Google LLC"),
    "updater.exe": ("131.0.6776.0", "Google Updater", "Google Updater", "Google LLC"),
    "onedrive.exe": ("24.201.1006.5", "Microsoft OneDrive", "Microsoft OneDrive", MICROSOFT),
    "onedrivestandaloneupdater.exe": (
        "24.201.1006.5",
        "Standalone Updater",
        "Microsoft OneDrive",
        MICROSOFT,
    ),
    "outlook.exe": ("16.0.18129.20158", "Microsoft Outlook", "Microsoft Outlook", MICROSOFT),
    "excel.exe": ("16.0.18129.20158", "Microsoft Excel", "Microsoft Office", MICROSOFT),
    "winword.exe": ("16.0.18129.20158", "Microsoft Word", "Microsoft Office", MICROSOFT),
    "acrord32.exe": ("24.4.20219.0", "Adobe Acrobat Reader", "Adobe Acrobat Reader", "Adobe Inc."),
    "adobearm.exe": (
        "1.824.460.1067",
        "Adobe Reader and Acrobat Manager",
        "Adobe ARM",
        "Adobe Inc.",
    ),
    "saplogon.exe": ("8000.1.10.0", "SAP Logon", "SAP GUI for Windows", "SAP SE"),
    "phupdate.exe": ("7.2.114.0", "PrintHub Update", "PrintHub", "PrintHub Software"),
    "konvoyupdate.exe": ("6.1.9.0", "Konvoy Update", "Konvoy Meetings", "Konvoy Communications"),
    "avagent.exe": ("12.4.0.881", "Arcavault Agent", "Arcavault Backup", "Arcavault Systems"),
    "wlscan.exe": ("9.0.4.17", "Wardline Inventory", "Wardline Monitor", "Wardline Software"),
    "python.exe": ("3.12.7", "Python", "Python", "Python Software Foundation"),
}


@lru_cache(maxsize=4096)
def version_of(image: str) -> Version:
    """The version resource of an image; dashes for a file that has none."""
    name = image.rsplit("\\", 1)[-1]
    key = name.casefold()
    if key in _WINDOWS_FILES:
        return Version(BUILD, _WINDOWS_FILES[key], WINDOWS, MICROSOFT, name.upper())
    if key in _OTHERS:
        return Version(*_OTHERS[key], name)
    return Version("-", "-", "-", "-", "-")


@lru_cache(maxsize=4096)
def hashes_of(image: str) -> str:
    """The hashes field of an image, the same wherever it lies under that name and version."""
    name = image.rsplit("\\", 1)[-1].casefold()
    seed = f"{name}|{version_of(image).version}".encode()
    sha256 = hashlib.sha256(seed).hexdigest().upper()
    return f"SHA256={sha256},IMPHASH={hashlib.sha256(seed + b'imp').hexdigest()[:32].upper()}"
