"""Where Elasticsearch's requests differ from OpenSearch's, and how either's faults are told.

https://www.elastic.co/guide/en/elasticsearch/reference/8.19/point-in-time-api.html
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/paginate-search-results.html
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.siem.opensearch import cluster as module
from huntonce.connectors.siem.opensearch.cluster import Cluster, TooSlowError
from huntonce.connectors.siem.opensearch.dsl import ALL
from huntonce.connectors.siem.opensearch.paging import pages
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.windows import Window

START = datetime(2026, 5, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=4))
SHARDS = {"total": 1, "failed": 0}


def cluster(server: HTTPServer, **more: Any) -> Cluster:
    url = server.url_for("").rstrip("/")
    return Cluster("elastic", OpenSearchSettings(kind="elasticsearch", url=url, **more))


def answer(hits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"timed_out": False, "_shards": SHARDS, "hits": {"hits": hits}, **more}


def error(kind: str, reason: str = "no") -> dict[str, Any]:
    cause = {"type": kind, "reason": reason}
    return {"error": {**cause, "root_cause": [cause]}}


def test_elasticsearch_pages_through_its_own_point_in_time(httpserver: HTTPServer) -> None:
    key = {"Authorization": "ApiKey c2VjcmV0"}
    httpserver.expect_ordered_request(
        "/winlogbeat-*/_pit", method="POST", query_string={"keep_alive": "120s"}, headers=key
    ).respond_with_json({"id": "pit-1"})
    hit = {"_id": "1", "_source": {"@timestamp": "2026-05-01T01:00:00Z"}, "sort": [5, 7]}
    httpserver.expect_ordered_request(
        "/_search", method="POST", query_string={"allow_partial_search_results": "false"}
    ).respond_with_json(answer([hit], pit_id="pit-2"))
    httpserver.expect_ordered_request("/_search", method="POST").respond_with_json(answer([]))
    httpserver.expect_ordered_request(
        "/_pit", method="DELETE", json={"id": "pit-2"}
    ).respond_with_json({"succeeded": True})

    with closing(cluster(httpserver, api_key="c2VjcmV0")) as elastic:
        assert list(pages(elastic, "winlogbeat-*", ALL, WINDOW, 1)) == [[hit]]

    httpserver.check_assertions()
    first, second = (request.json for request, _ in httpserver.log[1:3])
    assert first["sort"] == [{"@timestamp": "asc"}, {"_shard_doc": "asc"}]
    assert first["timeout"] == "60000ms"
    assert "search_after" not in first
    assert (second["search_after"], second["pit"]["id"]) == ([5, 7], "pit-2")


def test_a_busy_cluster_is_asked_again_and_not_for_ever(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    httpserver.expect_request("/a/_search").respond_with_json(
        error("es_rejected_execution_exception"), status=429
    )

    with closing(cluster(httpserver)) as elastic, pytest.raises(TransientError):
        elastic.search("a", {"size": 0})

    assert len(httpserver.log) == module.TRIES


@pytest.mark.parametrize(("status", "hint"), [(401, "API key"), (403, "rights"), (404, "patterns")])
def test_a_refusal_is_final_and_says_what_to_do(
    httpserver: HTTPServer, status: int, hint: str
) -> None:
    httpserver.expect_request("/a/_search").respond_with_json(error("x", "why"), status=status)

    with closing(cluster(httpserver)) as elastic, pytest.raises(TerminalError) as caught:
        elastic.search("a", {"size": 0})

    assert "why" in str(caught.value)
    assert hint in caught.value.hint


def test_half_an_answer_is_none(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/a/_search").respond_with_json(
        answer([]) | {"_shards": {"total": 3, "failed": 1}}
    )
    httpserver.expect_ordered_request("/a/_search").respond_with_json(
        answer([]) | {"timed_out": True}
    )

    with closing(cluster(httpserver)) as elastic:
        with pytest.raises(TransientError, match="1 of 3 shards"):
            elastic.search("a", {"size": 0})
        with pytest.raises(TooSlowError):
            elastic.search("a", {"size": 0})


def test_a_window_that_takes_too_long_is_halved(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a/_pit").respond_with_json({"id": "p"})
    httpserver.expect_request("/_pit").respond_with_json({"succeeded": True})
    slow = [answer([]) | {"timed_out": True}]
    asked: list[dict[str, str]] = []

    def respond(request: Any) -> Any:
        import orjson  # noqa: PLC0415
        from werkzeug import Response  # noqa: PLC0415 - only this answer needs it

        asked.append(request.json["query"]["range"]["@timestamp"])
        return Response(
            orjson.dumps(slow.pop() if slow else answer([])), mimetype="application/json"
        )

    httpserver.expect_request("/_search").respond_with_handler(respond)

    with closing(cluster(httpserver)) as elastic:
        assert list(pages(elastic, "a", ALL, WINDOW, 10)) == []

    assert [(one["gte"][11:16], one["lt"][11:16]) for one in asked] == [
        ("00:00", "04:00"),
        ("00:00", "02:00"),
        ("02:00", "04:00"),
    ]


def test_no_secret_leaves_in_the_clear_or_in_a_message() -> None:
    with pytest.raises(ValueError, match="https only") as caught:
        OpenSearchSettings(url="http://search.example", username="u", password="hunter2")

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(OpenSearchSettings(url="https://a.example", password="hunter2"))
