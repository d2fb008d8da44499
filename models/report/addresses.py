"""Where a desk shows what we opened there, for the links of our pages."""

from urllib.parse import urlsplit

from huntonce.models.ports import HasPages


def address_at(desk: object, remote_id: str) -> str:
    """Address of a ticket's or a case's page at a desk; empty where none is sure.

    Only http(s) below the desk's own address counts: an id is data, and data makes no link to
    anywhere else.
    """
    if not remote_id or not isinstance(desk, HasPages):
        return ""
    base, page = desk.base.rstrip("/"), desk.page_of(remote_id)
    safe = urlsplit(base).scheme in {"http", "https"} and page.startswith(f"{base}/")
    climbs = ".." in page.removeprefix(base).replace("%2e", ".").replace("%2E", ".")
    return page if safe and not climbs else ""
