import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from taxii2client.v21 import Collection, Server, as_pages

from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.taxii_server import (
    CollectionSpec,
    ServerSettings,
    TaxiiServer,
    User,
    serve,
)
from huntonce.connectors.intel.taxii_server.passwords import Passwords, hash_password
from huntonce.models.errors import ConfigError, DomainError

pytestmark = pytest.mark.integration
RW = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
RO = "52892447-4d7e-4f70-b94d-d7f22742ff63"
WO = "63892447-4d7e-4f70-b94d-d7f22742ff64"
TYPE = "application/taxii+json;version=2.1"
SPECS = [
    CollectionSpec(RW, "Exchange", can_read=True, can_write=True),
    CollectionSpec(RO, "Feed"),
    CollectionSpec(WO, "Drop", can_read=False, can_write=True),
]
USERS = [
    User("admin", "päss:word"),
    User("reader", hash_password("r"), read=(RW,), write=()),
]


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    with TaxiiServer(
        users=USERS, collections=SPECS, page_limit=50, max_content_length=200_000
    ) as running:
        yield running


@pytest.fixture
def http(server: TaxiiServer) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.api_root_url,
        auth=("admin", "päss:word"),
        headers={"Accept": TYPE, "Content-Type": TYPE},
    ) as client:
        yield client


def indicator(number: int, *, day: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": f"2026-01-{day:02d}T00:00:00.000Z",
        "valid_from": "2026-01-01T00:00:00.000Z",
        "pattern_type": "stix",
        "pattern": f"[ipv4-addr:value = '203.0.113.{number % 250}']",
        **more,
    }


def post(http: httpx.Client, *objects: Any, collection: str = RW, **kwargs: Any) -> httpx.Response:
    return http.post(
        f"collections/{collection}/objects/", content=json.dumps({"objects": objects}), **kwargs
    )


def get(http: httpx.Client, collection: str = RW, what: str = "objects", **params: Any) -> Any:
    answer = http.get(f"collections/{collection}/{what}/", params=params)
    answer.raise_for_status()
    return answer.json()


def test_taxii2_client_holds_its_whole_conversation(server: TaxiiServer) -> None:
    client = Server(server.discovery_url, user="admin", password="päss:word".encode())
    root = client.default
    assert TYPE in root.versions
    assert root.max_content_length == 200_000
    collections = {one.title: one for one in root.collections}
    assert (collections["Feed"].can_read, collections["Feed"].can_write) == (True, False)
    exchange: Collection = collections["Exchange"]

    status = exchange.add_objects({"objects": [indicator(n) for n in range(120)]})
    assert (status.status, status.success_count, status.failure_count) == ("complete", 120, 0)
    assert root.get_status(status.id).success_count == 120
    exchange.add_objects({"objects": [indicator(0, day=2)]})

    pages = list(as_pages(exchange.get_objects, per_request=40))
    assert len({one["id"] for page in pages for one in page["objects"]}) == 120
    assert len(exchange.get_object(indicator(0)["id"], version="all")["objects"]) == 2
    assert len(exchange.object_versions(indicator(0)["id"])["versions"]) == 2
    entry = exchange.get_manifest(id=indicator(5)["id"])["objects"][0]
    assert entry["media_type"] == "application/stix+json;version=2.1"
    assert exchange.get_objects(type="malware").get("objects", []) == []


def test_objects_come_back_byte_for_byte(http: httpx.Client) -> None:
    odd = json.dumps(indicator(1, name="ünï\u2028"), indent=3, ensure_ascii=False).encode()
    http.post(f"collections/{RW}/objects/", content=b'{"objects": [ ' + odd + b" ]}")

    assert odd in http.get(f"collections/{RW}/objects/").content


def test_each_bad_object_fails_alone_with_a_reason(http: httpx.Client) -> None:
    bad = indicator(2)
    del bad["valid_from"]

    answer = post(http, indicator(1), bad, 17, indicator(3, pattern="nonsense"))

    status = answer.json()
    assert answer.status_code == 202
    assert (status["success_count"], status["failure_count"], status["total_count"]) == (1, 3, 4)
    assert [one["message"] for one in status["failures"]][:2] == [
        "has no valid_from",
        "not a JSON object",
    ]
    assert status["failures"][0]["id"] == bad["id"]
    assert http.get(f"status/{status['id']}/").json() == status


def test_an_exact_duplicate_is_a_success_and_a_changed_one_a_failure(http: httpx.Client) -> None:
    post(http, indicator(1))
    reordered = dict(reversed(indicator(1).items()))
    precise = indicator(1) | {"modified": "2026-01-01T00:00:00Z", "name": "other"}

    again = post(http, reordered).json()
    changed = post(http, precise).json()

    assert (again["success_count"], again["successes"][0]["message"]) == (1, "already present")
    assert changed["failure_count"] == 1
    assert len(get(http, **{"match[version]": "all"})["objects"]) == 1


def test_a_status_is_its_maker_s_and_outlives_the_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'taxii.db'}"
    users = [User("a", "pa"), User("b", "pb")]
    headers = {"Accept": TYPE, "Content-Type": TYPE}
    with TaxiiServer(db_url=url, users=users, collections=SPECS) as first:
        status = httpx.post(
            f"{first.collection_url(RW)}objects/",
            json={"objects": [indicator(1)]},
            auth=("a", "pa"),
            headers=headers,
        ).json()
    with TaxiiServer(db_url=url, users=users, collections=SPECS) as second:
        address = f"{second.api_root_url}status/{status['id']}/"
        mine = httpx.get(address, auth=("a", "pa"), headers=headers)
        other = httpx.get(address, auth=("b", "pb"), headers=headers)
        objects = httpx.get(
            f"{second.collection_url(RW)}objects/", auth=("b", "pb"), headers=headers
        ).json()["objects"]

    assert mine.json() == status
    assert other.status_code == 404
    assert len(objects) == 1


@pytest.mark.parametrize(
    ("params", "numbers"),
    [
        ({"match[type]": "indicator"}, [1, 2]),
        ({"match[type]": "tool,indicator"}, [1, 2, 9]),
        ({"match[id]": indicator(2)["id"]}, [2]),
        ({"match[spec_version]": "2.0"}, []),
        ({"match[spec_version]": "2.1"}, [1, 2, 9]),
        ({"match[version]": "first"}, [1, 2, 9]),
        ({"match[version]": "all"}, [1, 1, 2, 9]),
        ({"match[version]": "2026-01-03T00:00:00Z"}, [1]),
        ({"match[version]": "first,last"}, [1, 1, 2, 9]),
        ({"added_after": "2999-01-01T00:00:00Z"}, []),
        ({"added_after": "2000-01-01T00:00:00.123456789Z"}, [1, 2, 9]),
    ],
)
def test_filters(http: httpx.Client, params: dict[str, str], numbers: list[int]) -> None:
    tool = {
        "type": "tool", "spec_version": "2.1", "name": "t",
        "id": "tool--00000000-0000-4000-8000-000000000009",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    post(http, indicator(1), indicator(2), tool)
    post(http, indicator(1, day=3))

    found = get(http, **params).get("objects", [])

    assert sorted(int(one["id"][-4:]) for one in found) == numbers


def test_the_last_version_is_by_time_not_by_text(http: httpx.Client) -> None:
    post(http, indicator(1) | {"modified": "2026-01-02T00:00:00.5Z"})
    post(http, indicator(1) | {"modified": "2026-01-02T00:00:00Z"})

    assert get(http)["objects"][0]["modified"] == "2026-01-02T00:00:00.5Z"


def test_pages_follow_next_or_date_added_and_cut_no_post_in_half(http: httpx.Client) -> None:
    post(http, *[indicator(n) for n in range(10)])

    by_token: list[str] = []
    by_date: list[str] = []
    params: dict[str, str] = {"limit": "3"}
    more = True
    while more:
        page = get(http, **params)
        by_token += [one["id"] for one in page["objects"]]
        more = page["more"]
        params["next"] = page.get("next", "")
    after = "2000-01-01T00:00:00Z"
    for _ in range(4):
        answer = http.get(f"collections/{RW}/objects/", params={"limit": "3", "added_after": after})
        by_date += [one["id"] for one in answer.json()["objects"]]
        after = answer.headers["X-TAXII-Date-Added-Last"]

    assert by_token == by_date == [indicator(n)["id"] for n in range(10)]


def test_the_headers_are_the_manifest_s_dates(http: httpx.Client) -> None:
    post(http, *[indicator(n) for n in range(5)])

    answer = http.get(f"collections/{RW}/manifest/")

    dates = [one["date_added"] for one in answer.json()["objects"]]
    assert dates == sorted(set(dates))
    assert answer.headers["X-TAXII-Date-Added-First"] == dates[0]
    assert answer.headers["X-TAXII-Date-Added-Last"] == dates[-1]


def test_the_server_caps_the_page(http: httpx.Client) -> None:
    post(http, *[indicator(n) for n in range(60)])

    assert len(get(http, limit="1000")["objects"]) == 50


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "many"},
        {"added_after": "yesterday"},
        {"next": "forged"},
        {"match[version]": "newest"},
        {"match[id]": "x"},
        {"match[type]": ""},
        {"match[colour]": "red"},
    ],
)
def test_what_cannot_be_understood_is_400(http: httpx.Client, params: dict[str, str]) -> None:
    answer = http.get(f"collections/{RW}/objects/", params=params)

    assert answer.status_code == 400
    assert answer.json()["http_status"] == "400"
    assert answer.headers["content-type"] == TYPE


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (TYPE, 200),
        ("application/taxii+json", 200),
        ("application/taxii+json; version=2.1", 200),
        ("*/*", 200),
        ("text/html, application/taxii+json;version=2.1;q=0.5", 200),
        ("application/json", 406),
        ("application/taxii+json;version=2.0", 406),
        ("application/taxii+json;version=2.1;q=0", 406),
        ("application/vnd.oasis.taxii+json; version=2.0", 406),
    ],
)
def test_accept_is_negotiated(http: httpx.Client, accept: str, status: int) -> None:
    assert http.get("", headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (TYPE, 202),
        ("application/taxii+json", 202),
        ("application/json", 415),
        ("application/taxii+json;version=2.0", 415),
        ("application/stix+json;version=2.1", 415),
    ],
)
def test_the_posted_type_is_checked(http: httpx.Client, content_type: str, status: int) -> None:
    answer = post(http, indicator(1), headers={"Content-Type": content_type})

    assert answer.status_code == status


def test_a_compressed_request_is_415(http: httpx.Client) -> None:
    assert post(http, indicator(1), headers={"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"hello", 400),
        (b'{"objects": [', 400),
        (b"{}", 422),
        (b'{"objects": []}', 422),
        (b'{"objects": 3}', 422),
        (b'{"type": "bundle", "objects": [{}]}', 422),
    ],
)
def test_what_is_no_envelope_is_refused_whole(
    http: httpx.Client, content: bytes, status: int
) -> None:
    assert http.post(f"collections/{RW}/objects/", content=content).status_code == status


def test_too_much_at_once_is_413_announced_or_not(http: httpx.Client) -> None:
    big = b" " * 200_001
    url = f"collections/{RW}/objects/"

    assert http.post(url, content=big).status_code == 413
    assert http.post(url, content=iter([big])).status_code == 413


def test_without_a_login_there_is_nothing(server: TaxiiServer) -> None:
    for auth in (None, ("admin", "wrong"), ("nobody", "x"), ("", "")):
        answer = httpx.get(server.discovery_url, auth=auth, headers={"Accept": TYPE})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    for header in ("Basic !!!", "Bearer x", "Basic"):
        answer = httpx.get(server.discovery_url, headers={"Authorization": header})
        assert answer.status_code == 401


def test_a_user_sees_only_what_is_theirs(server: TaxiiServer) -> None:
    server.seed(RO, demo_intel()[:1])
    with httpx.Client(
        base_url=server.api_root_url, auth=("reader", "r"), headers={"Accept": TYPE}
    ) as reader:
        shown = reader.get("collections/").json()["collections"]
        assert [(one["id"], one["can_write"]) for one in shown] == [(RW, False)]
        assert reader.get(f"collections/{RO}/objects/").status_code == 404
        assert post(reader, indicator(1), headers={"Content-Type": TYPE}).status_code == 403


def test_a_drop_box_takes_and_shows_nothing(http: httpx.Client) -> None:
    assert post(http, indicator(1), collection=WO).status_code == 202
    assert http.get(f"collections/{WO}/objects/").status_code == 403
    assert post(http, indicator(1), collection=RO).status_code == 403


def test_what_is_not_there_is_404(http: httpx.Client) -> None:
    missing = indicator(99)["id"]
    for path in (
        "collections/00000000-0000-4000-8000-000000000000/",
        f"collections/{RW}/objects/{missing}/",
        f"collections/{RW}/objects/{missing}/versions/",
        "status/1/",
        "nothing/",
    ):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.json()["http_status"] == "404"


def test_deleting_is_off_unless_it_is_switched_on(http: httpx.Client) -> None:
    post(http, indicator(1))
    path = f"collections/{RW}/objects/{indicator(1)['id']}/"
    assert http.delete(path).status_code == 405
    assert len(get(http)["objects"]) == 1

    with TaxiiServer(collections=SPECS, allow_delete=True) as other:
        other.seed(RW, [json.dumps(indicator(1)).encode()])
        url = f"{other.collection_url(RW)}objects/{indicator(1)['id']}/"
        assert httpx.delete(url).status_code == 200
        assert httpx.get(url).status_code == 404


def test_parallel_posts_keep_dates_unique_and_lose_nothing(http: httpx.Client) -> None:
    def write(start: int) -> None:
        for step in range(5):
            first = start + step * 20
            post(http, *[indicator(n) for n in range(first, first + 20)]).raise_for_status()

    threads = [threading.Thread(target=write, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    dates: list[str] = []
    params: dict[str, str] = {}
    more = True
    while more:
        page = get(http, what="manifest", **params)
        dates += [one["date_added"] for one in page["objects"]]
        more, params = page["more"], {"next": page.get("next", "")}
    assert len(dates) == len(set(dates)) == 400
    assert dates == sorted(dates)


def test_a_reader_beside_writers_misses_nothing(http: httpx.Client) -> None:
    """The cursor is taken while others commit: whatever came later must have a later date."""
    done = threading.Event()

    def write(start: int) -> None:
        for number in range(start, start + 40):
            post(http, indicator(number)).raise_for_status()

    threads = [threading.Thread(target=write, args=(n * 1000,)) for n in range(3)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    after = "2000-01-01T00:00:00Z"
    while not done.is_set():
        if not any(thread.is_alive() for thread in threads):
            done.set()
        while True:
            answer = http.get(f"collections/{RW}/objects/", params={"added_after": after})
            found = answer.json().get("objects", [])
            if not found:
                break
            seen += [one["id"] for one in found]
            after = answer.headers["X-TAXII-Date-Added-Last"]

    assert len(seen) == len(set(seen)) == 120


def test_seeding_serves_even_what_is_faulty(server: TaxiiServer, http: httpx.Client) -> None:
    assert server.seed(RO, [faulty_intel(), demo_intel()[0]]) == 2
    assert server.seed(RO, [faulty_intel()]) == 0
    assert len(get(http, RO)["objects"]) == 2
    with pytest.raises(DomainError, match="no valid_from"):
        server.seed(RO, [faulty_intel()], validate=True)
    with pytest.raises(DomainError, match="no collection"):
        server.seed("x", [])


def test_a_server_open_to_the_world_without_users_does_not_start() -> None:
    with pytest.raises(ConfigError, match="open to everybody"):
        ServerSettings(db_url="sqlite:///x.db", host="0.0.0.0")  # noqa: S104 - the point
    with pytest.raises(ConfigError, match="open to everybody"):
        ServerSettings(db_url="sqlite:///x.db", host="taxii.example")


@pytest.mark.parametrize(
    "settings",
    [
        {"users": (User("a", ""),)},
        {"users": (User("a:b", "x"),)},
        {"users": (User("a", "x"), User("a", "y"))},
        {"collections": (CollectionSpec("one", "t"),)},
        {"collections": (CollectionSpec(RW, "t"), CollectionSpec(RW, "u"))},
        {"api_root": "../x"},
        {"page_limit": 0},
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ServerSettings(db_url="sqlite:///x.db", **settings)


def test_a_database_that_cannot_be_opened_or_shared_is_named(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path}/no/such/folder/x.db",
        "sqlite://",
        "nonsense://x",
        "nonsense",
    ):
        with pytest.raises(ConfigError), TaxiiServer(db_url=url):
            pass


def test_a_port_that_is_taken_is_named(server: TaxiiServer) -> None:
    settings = ServerSettings(
        db_url=server.settings.db_url, port=server.port, collections=tuple(SPECS)
    )
    with pytest.raises(ConfigError, match="cannot listen"):
        serve(settings)


def test_passwords_are_kept_as_hashes_only() -> None:
    kept = Passwords([User("a", "clear-text"), User("b", hash_password("hashed"))])

    assert kept.right("a", "clear-text")
    assert kept.right("a", "clear-text")
    assert kept.right("b", "hashed")
    assert not kept.right("a", "hashed")
    assert not kept.right("nobody", "clear-text")
    assert "clear-text" not in repr(vars(kept))
    assert "clear-text" not in repr(User("a", "clear-text"))
