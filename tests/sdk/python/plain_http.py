"""Pinecone's API without any SDK, as curl speaks it: no version header, paths encoded in other ways, wrong methods.

usage: plain_http.py SERVER_URL API_KEY before|after
"""

import gzip
import http.client
import json
import sys
import traceback
from urllib.parse import quote, urlsplit

SERVER, KEY, PHASE = sys.argv[1:4]
NAME = "raw"
NAMESPACES = ["a/b", "with space", "per%cent", "question?mark", "ha#sh", "dots..", "plus+sign"]


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    def json(self):
        return json.loads(self.text)

    def message(self):
        body = self.json()
        return body.get("message") or body["error"]["message"]


def ask(method, path, body=None, host=SERVER, **headers):
    """One request on a connection of its own, with no header that is not named."""
    connection = http.client.HTTPConnection(urlsplit(host).netloc, timeout=30)
    given = {"Api-Key": KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
    connection.request(method, path, data, {name: value for name, value in given.items() if value is not None})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return Answer(answer.status, answer.headers, text)


def host():
    return ask("GET", f"/indexes/{NAME}").json()["host"]


def data(method, path, body=None, **headers):
    return ask(method, path, body, host=host(), **headers)


def upsert(namespace, *vectors):
    answer = data("POST", "/vectors/upsert", {"vectors": list(vectors), "namespace": namespace})
    assert answer.status == 200, answer.text
    return answer


def without_a_version_header_the_shape_is_the_old_one():
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    made = ask("POST", "/indexes", {"name": NAME, "dimension": 2, "metric": "dotproduct", "spec": spec})
    assert made.status == 201, made.text
    model = made.json()
    assert model["dimension"] == 2 and model["spec"]["serverless"]["region"] == "us-east-1", model
    assert "schema" not in model and "private_host" not in model and model["status"]["ready"] is True
    assert ask("GET", f"/indexes/{NAME}", X_Pinecone_Api_Version="2099-01").json()["schema"]["fields"]
    assert "spec" in ask("GET", f"/indexes/{NAME}", X_Pinecone_Api_Version="gibberish").json()
    again = ask("POST", "/indexes", {"name": NAME, "dimension": 2, "spec": spec})
    assert again.status == 409 and again.json()["error"]["code"] == "ALREADY_EXISTS", again.text


def names_of_indexes_are_checked():
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    for name in ["Upper", "under_score", "-hyphen", "hyphen-", "x" * 46, ""]:
        answer = ask("POST", "/indexes", {"name": name, "dimension": 2, "spec": spec})
        assert answer.status == 400, (name, answer.text)
    assert ask("GET", "/indexes/nothing").status == 404
    assert ask("DELETE", "/indexes/nothing").status == 404


def namespaces_arrive_however_they_are_encoded():
    for number, name in enumerate(NAMESPACES):
        upsert(name, *({"id": f"{one}", "values": [1.0, 2.0]} for one in range(number + 1)))
        encoded = quote(name, safe="")
        everything = "".join(f"%{byte:02x}" for byte in name.encode())
        for spelling in {encoded, everything}:
            found = data("GET", f"/namespaces/{spelling}")
            assert found.status == 200 and found.json()["name"] == name, (spelling, found.text)
            assert int(found.json()["record_count"]) == number + 1
            listed = data("GET", f"/vectors/list?namespace={spelling}").json()
            assert listed["namespace"] == name and len(listed["vectors"]) == number + 1
    stats = data("GET", "/describe_index_stats").json()
    assert set(stats["namespaces"]) == set(NAMESPACES), stats
    assert data("DELETE", f"/namespaces/{quote('a/b', safe='')}").status == 200
    assert data("GET", f"/namespaces/{quote('a/b', safe='')}").status == 404
    assert "a/b" not in data("POST", "/describe_index_stats").json()["namespaces"]


def the_default_namespace_has_three_spellings():
    upsert("", {"id": "d", "values": [1.0, 1.0]})
    for body in ({}, {"namespace": ""}, {"namespace": "__default__"}):
        answer = data("POST", "/query", {"topK": 1, "vector": [1.0, 1.0], **body}).json()
        assert answer["namespace"] == body.get("namespace", "") and answer["matches"][0]["id"] == "d", answer
    assert data("GET", "/vectors/fetch?ids=d").json()["namespace"] == ""
    assert data("GET", "/vectors/fetch?ids=d&namespace=__default__").json()["vectors"]["d"]["values"] == [1.0, 1.0]


def ids_must_be_ascii():
    for id in ["é", "日本", "🌲", "\u00a0"]:
        answer = data("POST", "/vectors/upsert", {"vectors": [{"id": id, "values": [1.0, 1.0]}]})
        assert answer.status == 400 and "Vector ID must be ASCII" in answer.message(), answer.text
    answer = data("POST", "/vectors/upsert", {"vectors": [{"id": "a\0b", "values": [1.0, 1.0]}]})
    assert answer.status == 400 and "Vector ID must not contain null character" in answer.message()
    assert data("POST", "/vectors/upsert", {"vectors": [{"id": "x" * 513, "values": [1.0, 1.0]}]}).status == 400
    # Older versions took others; they are read and removed by their ids.
    assert data("GET", f"/vectors/fetch?ids={quote('é')}").json()["vectors"] == {}
    assert data("GET", "/vectors/fetch?ids=a%00b").status == 400


def methods_and_spellings():
    assert data("GET", "/describe_index_stats").status == data("POST", "/describe_index_stats").status == 200
    assert data("HEAD", "/describe_index_stats").status == 200 and not data("HEAD", "/vectors/list").text
    assert ask("HEAD", "/indexes").status == 200
    assert data("GET", "/vectors/upsert").status == 405 and data("PUT", "/query", "{}").status == 405
    assert data("GET", "/nowhere").status == 404
    snake = {"top_k": 1, "vector": [1.0, 1.0], "include_values": True, "include_metadata": True}
    assert data("POST", "/query", snake, Content_Type="application/vnd.api+json").json()["matches"][0]["values"] == [1.0, 1.0]
    upsert("gone", {"id": "x", "values": [1.0, 1.0]})
    assert data("DELETE", "/vectors/delete", {"ids": ["x"], "namespace": "gone"}).json() == {}
    below = ask("POST", f"/indexes/{NAME}/query", {"topK": 1, "vector": [1.0, 1.0]})
    assert below.status == 200 and below.json()["matches"][0]["id"] == "d"


def positions_in_the_log_are_told():
    wrote = upsert("log", {"id": "x", "values": [1.0, 1.0]})
    read = data("POST", "/query", {"topK": 1, "vector": [1.0, 1.0], "namespace": "log"})
    written, seen = int(wrote.headers["x-pinecone-request-lsn"]), int(read.headers["x-pinecone-max-indexed-lsn"])
    assert seen >= written > 0 and wrote.headers["x-pinecone-request-id"] != read.headers["x-pinecone-request-id"]


def what_is_not_there_is_told_by_its_absence():
    upsert("bare", {"id": "x", "values": [1.0, 1.0]}, {"id": "y", "values": [1.0, 2.0], "metadata": {"page": 0}})
    query = {"topK": 9, "id": "x", "namespace": "bare", "includeMetadata": True}
    found = {one["id"]: one for one in data("POST", "/query", query).json()["matches"]}
    assert found["x"]["values"] == [] and "metadata" not in found["x"]
    page = data("POST", "/query", query)
    assert '"page":0.0' in page.text.replace(" ", ""), "whole numbers have a fraction"
    for nobody in ({"topK": 3, "id": "zz", "namespace": "bare"}, {"topK": 3, "id": "x", "namespace": "none"}):
        answer = data("POST", "/query", nobody).json()
        assert answer["matches"] == [] and answer["namespace"] == nobody["namespace"]
        assert answer["usage"]["readUnits"] > 0
    empty = data("POST", "/vectors/fetch_by_metadata", {"filter": {"page": 0}, "namespace": "none"}).json()
    assert empty["vectors"] == {} and empty["namespace"] == "none" and "pagination" not in empty


def lists_end_without_an_empty_page():
    upsert("pages", *({"id": f"{number:03}", "values": [1.0, 1.0]} for number in range(200)))
    first = data("GET", "/vectors/list?namespace=pages&prefix=").json()
    assert len(first["vectors"]) == 100 and first["vectors"][0]["id"] == "000"
    token = quote(first["pagination"]["next"])
    second = data("GET", f"/vectors/list?namespace=pages&prefix=&paginationToken={token}").json()
    assert len(second["vectors"]) == 100 and "pagination" not in second
    assert data("GET", f"/vectors/list?namespace=other&paginationToken={token}").status == 400
    for limit in ("0", "101", "-1", "many"):
        assert data("GET", f"/vectors/list?namespace=pages&limit={limit}").status == 400, limit


def the_last_of_two_with_one_id_stays_and_replaces_everything():
    upsert("twice", {"id": "x", "values": [1.0, 1.0], "metadata": {"a": 1, "b": 2}})
    answer = upsert("twice", {"id": "x", "values": [2.0, 2.0]}, {"id": "x", "values": [3.0, 3.0], "metadata": {"c": 3}})
    assert answer.json()["upsertedCount"] == 2
    kept = data("GET", "/vectors/fetch?ids=x&namespace=twice").json()["vectors"]["x"]
    assert kept == {"id": "x", "values": [3.0, 3.0], "metadata": {"c": 3.0}}, kept


def filters_mean_what_they_say():
    metadata = [{"n": 1, "s": "1"}, {"n": 2, "good": True}, {"tags": ["x", "y"]}, {"n": 3, "good": False}, None]
    records = [{"id": str(at), "values": [1.0, 1.0], "metadata": one} for at, one in enumerate(metadata)]
    upsert("filters", *records)
    by = lambda filter: data("POST", "/query", {"topK": 9, "vector": [1.0, 1.0], "namespace": "filters", "filter": filter})
    ids = lambda filter: [one["id"] for one in by(filter).json()["matches"]]
    expected = [
        ({}, ["0", "1", "2", "3", "4"]),
        ({"n": {"$gt": 1, "$lt": 3}}, ["1"]),
        ({"n": "1"}, []),
        ({"s": 1}, []),
        ({"good": True}, ["1"]),
        ({"good": {"$ne": True}}, ["3"]),
        ({"tags": "y"}, ["2"]),
        ({"tags": {"$nin": ["y"]}}, []),
        ({"n": {"$in": []}}, []),
        ({"n": {"$exists": False}}, ["2", "4"]),
        ({"$and": [{"$or": [{"n": 1}, {"n": 3}]}, {"good": {"$exists": True}}]}, ["3"]),
    ]
    for filter, wanted in expected:
        assert ids(filter) == wanted, (filter, ids(filter))
    for wrong in ({"$and": []}, {"$or": {}}, {"n": {"$like": 1}}, {"n": {"$gt": "x"}}, {"$eq": 1}, {"n": None}):
        assert by(wrong).status == 400, (wrong, by(wrong).text)


def wrong_keys_get_nothing():
    own = host()
    for place, path in ((SERVER, "/indexes"), (SERVER, f"/indexes/{NAME}/vectors/list"), (own, "/vectors/list")):
        for key in ("wrong-key-1", "", None):
            answer = ask("GET", path, host=place, Api_Key=key)
            # Without a version header the data plane tells a wrong key from none, as it did to 2025-10.
            expected = 403 if key and path != "/indexes" else 401
            assert answer.status == expected, (path, key, answer.status)
            assert expected == 401 or answer.text == "Wrong API key", answer.text
            newer = ask("GET", path, host=place, Api_Key=key, X_Pinecone_Api_Version="2026-07")
            assert newer.status == 401, (path, key, newer.status)


def null_is_unset_and_numbers_have_many_spellings():
    open_fields = {"namespace": None, "filter": None, "id": None, "sparseVector": None, "includeValues": None}
    body = {"topK": "1e1", "vector": ["1", 1.0], "maxCandidates": 100.0, **open_fields}
    answer = data("POST", "/query", body)
    assert answer.status == 200 and answer.json()["namespace"] == "" and answer.json()["matches"], answer.text
    data("POST", "/vectors/upsert", {"vectors": [{"id": "null", "values": [1, 1], "metadata": None}], "namespace": None})
    gone = data("POST", "/vectors/delete", {"ids": ["null"], "namespace": None, "filter": None, "deleteAll": None})
    assert gone.status == 200, gone.text
    assert data("GET", "/vectors/fetch?ids=null").json()["vectors"] == {}
    for wrong in ({"topK": 1.5}, {"topK": True}, {"topK": "x"}, {"topK": 1, "vector": [1, None]}, {"topK": 1, "filter": {"n": None}}):
        assert data("POST", "/query", {"vector": [1, 1], **wrong}).status == 400, wrong


def bodies_may_be_compressed_and_marked():
    body = json.dumps({"vectors": [{"id": "x", "values": [1, 1]}], "namespace": "gzip"}).encode()
    assert data("POST", "/vectors/upsert", gzip.compress(body), Content_Encoding="gzip").status == 200
    assert data("POST", "/vectors/upsert", b"\xef\xbb\xbf" + body).status == 200
    assert data("POST", "/vectors/upsert", body, Content_Encoding="gzip").status == 400
    assert data("POST", "/vectors/upsert", body, Content_Encoding="br").status == 415
    bomb = gzip.compress(b" " * (65 << 20))
    assert data("POST", "/vectors/upsert", bomb, Content_Encoding="gzip").status == 413


def what_is_wrong_is_named():
    zero = [{"id": "fine", "values": [1, 1]}, {"id": "zero", "values": [0, 0]}]
    answer = data("POST", "/vectors/upsert", {"vectors": zero})
    assert answer.status == 400 and "Vector ID 'zero' contains only zeros (vectors[1])" in answer.message(), answer.text
    many = "&".join(f"ids={'x' * 512}{number}" for number in range(1000))
    long = data("GET", f"/vectors/fetch?{many}")
    assert long.status in (414, 431) and "fewer ids" in long.message(), long.text


def what_is_too_large_is_refused():
    many = [{"id": str(number), "values": [1.0, 1.0]} for number in range(1001)]
    assert data("POST", "/vectors/upsert", {"vectors": many}).status == 400
    metadata = {"text": "x" * 300_000}
    large = data("POST", "/vectors/upsert", {"vectors": [{"id": "x", "values": [1.0, 1.0], "metadata": metadata}]})
    assert large.status == 400, large.text
    assert data("POST", "/query", {"topK": 10_001, "vector": [1.0, 1.0]}).status == 400
    assert data("POST", "/vectors/upsert", '{"vectors": [').status == 400


def everything_is_there_after_a_kill():
    stats = data("GET", "/describe_index_stats").json()
    kept = {"with space": 2, "pages": 200, "filters": 5, "twice": 1, "": 1}
    counts = {name: one["vectorCount"] for name, one in stats["namespaces"].items()}
    assert {name: counts.get(name) for name in kept} == kept, counts
    again = upsert("log", {"id": "x", "values": [1.0, 1.0]})
    assert int(again.headers["x-pinecone-request-lsn"]) > 1, "positions go on where they were"
    print(f"host {host()}")
    assert ask("DELETE", f"/indexes/{NAME}").status == 202
    assert ask("GET", f"/indexes/{NAME}").status == 404


BEFORE = [
    without_a_version_header_the_shape_is_the_old_one,
    names_of_indexes_are_checked,
    namespaces_arrive_however_they_are_encoded,
    the_default_namespace_has_three_spellings,
    ids_must_be_ascii,
    methods_and_spellings,
    positions_in_the_log_are_told,
    what_is_not_there_is_told_by_its_absence,
    lists_end_without_an_empty_page,
    the_last_of_two_with_one_id_stays_and_replaces_everything,
    filters_mean_what_they_say,
    wrong_keys_get_nothing,
    null_is_unset_and_numbers_have_many_spellings,
    bodies_may_be_compressed_and_marked,
    what_is_wrong_is_named,
    what_is_too_large_is_refused,
]
checks = BEFORE if PHASE == "before" else [everything_is_there_after_a_kill]
failed = 0
for check in checks:
    try:
        check()
        print(f"ok     {check.__name__}")
    except Exception:
        failed += 1
        print(f"FAILED {check.__name__}")
        traceback.print_exc(file=sys.stdout)
if PHASE == "before":
    print(f"host {host()}")
print(f"plain HTTP {PHASE}: {len(checks) - failed} of {len(checks)} checks hold")
sys.exit(failed)
