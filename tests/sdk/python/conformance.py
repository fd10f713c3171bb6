"""Drives a server through the official Python SDK, whichever version is installed, as its users do.

usage: conformance.py SERVER_URL API_KEY before|after [grpc]

`before` writes and checks everything and leaves one index behind; `after` runs once the server was killed and started
again, and finds what was left. With `grpc` the data plane is spoken to over gRPC. Prints one line a check; the exit code is the number of checks that failed.
"""

import sys
import traceback

import pinecone
from pinecone import Pinecone, ServerlessSpec

VERSION = tuple(int(part) for part in pinecone.__version__.split(".")[:2])
SERVER, KEY, PHASE = sys.argv[1:4]
SPEC = ServerlessSpec(cloud="aws", region="us-east-1")
GRPC = sys.argv[4:] == ["grpc"]
NAME = f"py-{VERSION[0]}" + ("-grpc" if GRPC else "")
KEPT = f"kept-by-{NAME}"

pc = Pinecone(api_key=KEY, host=SERVER)
checks = []


def check(phase, since=0, only_rest=False):
    """Registers a check for a phase, for SDK versions from `since` on."""

    def register(function):
        if phase == PHASE and VERSION[0] >= since and not (only_rest and GRPC):
            checks.append(function)
        return function

    return register


def refused(status, function, *arguments, **named):
    """The error of a call that must be refused with this HTTP status."""
    try:
        function(*arguments, **named)
    except Exception as error:  # the versions' exception classes have no common root
        found = getattr(error, "status", None) or getattr(error, "status_code", None)
        # Errors of gRPC carry other codes, each version in its own way: the message tells.
        over_grpc = GRPC and not isinstance(found, int) or GRPC and found not in (400, 401, 403, 404, 409)
        assert over_grpc or found == status, f"status {found} instead of {status}: {error}"
        return f"{error} {getattr(error, 'body', '')}"
    raise AssertionError(f"{function.__name__} was not refused")


def opened(name):
    """The data plane of an index."""
    if not GRPC:
        return Pinecone(api_key=KEY, host=SERVER).Index(name)
    if VERSION[0] >= 9:
        return Pinecone(api_key=KEY, host=SERVER, grpc_scheme="http").index(name, grpc=True)
    from pinecone.grpc import GRPCClientConfig, PineconeGRPC

    # These versions take a host without a scheme for gRPC.
    host = pc.describe_index(name).host.removeprefix("http://")
    plaintext = GRPCClientConfig(secure=False)
    return PineconeGRPC(api_key=KEY, host=SERVER).Index(host=host, grpc_config=plaintext)


INDEXES = {}


def index(name=NAME):
    if name not in INDEXES:
        INDEXES[name] = opened(name)
    return INDEXES[name]


def ids(answer):
    return [match.id for match in answer.matches]


@check("before")
def indexes_are_created_listed_described_and_not_twice():
    pc.create_index(name=NAME, dimension=3, metric="cosine", spec=SPEC, tags={"team": "search"})
    described = pc.describe_index(NAME)
    assert described.name == NAME and described.status["ready"] if VERSION[0] < 9 else described.status.ready
    assert NAME in [one.name for one in pc.list_indexes()]
    assert pc.has_index(NAME) and not pc.has_index("nothing")
    assert "already exists" in refused(409, pc.create_index, name=NAME, dimension=3, spec=SPEC)
    refused(404, pc.describe_index, "nothing")


@check("before")
def vectors_are_upserted_in_every_form():
    answer = index().upsert(
        namespace="n",
        vectors=[
            {"id": "a", "values": [0.1, 0.2, 0.3], "metadata": {"genre": "drama", "year": 1994, "tags": ["x", "y"]}},
            {"id": "b", "values": [0.3, 0.2, 0.1]},
            ("c", [1.0, 0.0, 0.0], {"genre": "comedy", "year": 2000, "good": True}),
            ("d", [0.0, 1.0, 0.0]),
        ],
    )
    assert answer.upserted_count == 4
    assert index().upsert(vectors=[("e", [1.0, 1.0, 1.0])]).upserted_count == 1


@check("before")
def a_thousand_vectors_go_in_at_once_and_page_by_page_out():
    vectors = [(f"v{number:04}", [float(number), 1.0, 0.0]) for number in range(1000)]
    assert index().upsert(vectors=vectors, namespace="many").upserted_count == 1000
    pages = list(index().list(namespace="many"))
    pages = [[item.id for item in page.vectors] for page in pages] if VERSION[0] >= 9 else pages
    listed = [id for page in pages for id in page]
    assert [len(page) for page in pages] == [100] * 10 and listed == sorted(id for id, _ in vectors)
    pages = list(index().list(prefix="v001", namespace="many"))
    assert sum(len(page.vectors) if VERSION[0] >= 9 else len(page) for page in pages) == 10


@check("before")
def queries_find_by_vector_id_and_filter():
    answer = index().query(vector=[0.1, 0.2, 0.3], top_k=2, namespace="n", include_values=True, include_metadata=True)
    assert ids(answer) == ["a", "b"] and abs(answer.matches[0].score - 1.0) < 1e-4
    assert answer.namespace == "n" and answer.usage.read_units > 0 if VERSION[0] >= 9 else answer.usage["read_units"] > 0
    best = answer.matches[0]
    assert best.metadata == {"genre": "drama", "year": 1994.0, "tags": ["x", "y"]}
    assert [round(value, 6) for value in best.values] == [0.1, 0.2, 0.3]
    bare = index().query(id="b", top_k=1, namespace="n").matches[0]
    assert bare.id == "b" and not bare.values and not bare.metadata
    by = lambda filter: sorted(ids(index().query(vector=[1.0, 1.0, 1.0], top_k=9, namespace="n", filter=filter)))
    assert by({"genre": {"$eq": "drama"}}) == ["a"]
    assert by({"year": {"$gte": 1995}}) == ["c"]
    assert by({"tags": {"$in": ["y"]}}) == ["a"]
    assert by({"$or": [{"good": True}, {"genre": "drama"}]}) == ["a", "c"]
    assert by({"genre": {"$exists": False}}) == ["b", "d"]
    assert by({"year": "1994"}) == []
    assert ids(index().query(id="nobody", top_k=3, namespace="n")) == []
    assert ids(index().query(vector=[1.0, 1.0, 1.0], top_k=3, namespace="empty")) == []


@check("before")
def records_are_fetched_whole():
    found = index().fetch(ids=["a", "d", "zz"], namespace="n")
    assert sorted(found.vectors) == ["a", "d"] and found.namespace == "n"
    assert found.vectors["d"].metadata is None
    assert found.vectors["a"].metadata["tags"] == ["x", "y"]


@check("before")
def weird_ids_survive_every_way():
    weird = ["with space", 'quo"te', "per%cent", "sla/sh", "ha#sh", '{"json": 1}', "a&b=c?d", "tab\there"]
    index().upsert(vectors=[(id, [1.0, 2.0, 3.0]) for id in weird], namespace="weird")
    assert sorted(index().fetch(ids=weird, namespace="weird").vectors) == sorted(weird)
    for id in weird:
        assert id in ids(index().query(id=id, top_k=20, namespace="weird")), id


@check("before")
def updates_replace_vectors_and_merge_metadata():
    index().update(id="b", values=[0.0, 0.0, 1.0], set_metadata={"genre": "drama"}, namespace="n")
    index().update(id="a", set_metadata={"seen": True}, namespace="n")
    found = index().fetch(ids=["a", "b"], namespace="n").vectors
    assert found["b"].values == [0.0, 0.0, 1.0] and found["b"].metadata == {"genre": "drama"}
    assert found["a"].metadata["seen"] is True and found["a"].metadata["year"] == 1994
    index().update(id="nobody", set_metadata={"k": 1}, namespace="n")


@check("before", since=8)
def records_are_fetched_and_updated_by_metadata():
    first = index().fetch_by_metadata(filter={"genre": "drama"}, namespace="n", limit=1)
    assert len(first.vectors) == 1 and first.pagination.next
    token = {"pagination_token": first.pagination.next}
    second = index().fetch_by_metadata(filter={"genre": "drama"}, namespace="n", limit=1, **token)
    assert sorted([*first.vectors, *second.vectors]) == ["a", "b"] and second.pagination is None
    answer = index().update(filter={"genre": "drama"}, set_metadata={"era": "late"}, dry_run=True, namespace="n")
    assert answer.matched_records == 2
    assert len(index().fetch_by_metadata(filter={"era": "late"}, namespace="n").vectors) == 0
    index().update(filter={"genre": "drama"}, set_metadata={"era": "late"}, namespace="n")
    assert len(index().fetch_by_metadata(filter={"era": "late"}, namespace="n").vectors) == 2


@check("before")
def statistics_and_namespaces_count():
    stats = index().describe_index_stats()
    assert stats.dimension == 3 and stats.total_vector_count == 1000 + 4 + 1 + 8
    counts = {name: one.vector_count for name, one in stats.namespaces.items()}
    # Clients of API versions to 2025-04 look for the default namespace under no name.
    default = "__default__" if VERSION[0] >= 8 else ""
    assert counts == {"n": 4, default: 1, "many": 1000, "weird": 8}, counts
    described = index().describe_namespace(namespace="n")
    assert described.name == "n" and int(described.record_count) == 4
    listed = [page for page in index().list_namespaces()]
    listed = [one.name for page in listed for one in (page.namespaces if VERSION[0] >= 9 else [page])]
    assert listed == ["__default__", "many", "n", "weird"], listed
    index().delete_namespace(namespace="weird")
    refused(404, index().describe_namespace, namespace="weird")


@check("before", since=8)
def namespaces_are_made_explicitly():
    # Version 8 wants its generated classes for a schema.
    schema = {"schema": {"fields": {"genre": {"filterable": True}}}} if VERSION[0] >= 9 else {}
    index().create_namespace(name="explicit", **schema)
    assert int(index().describe_namespace(namespace="explicit").record_count) == 0
    refused(409, index().create_namespace, name="explicit")
    index().delete_namespace(namespace="explicit")


@check("before")
def mistakes_are_named():
    said = refused(400, index().upsert, vectors=[("x", [1.0, 2.0])])
    assert "Vector dimension 2 does not match the dimension of the index 3" in said
    assert "dimension" in refused(400, index().query, vector=[1.0], top_k=1)
    refused(400, index().query, vector=[1.0, 1.0, 1.0], top_k=1, filter={"a": {"$like": "x"}})
    # Version 9 and later refuse nested metadata themselves, before anything is sent.
    nested = [{"id": "x", "values": [1.0, 1.0, 1.0], "metadata": {"k": {"n": 1}}}]
    said = refused(400 if VERSION[0] < 9 else None, index().upsert, vectors=nested)
    assert "Metadata value must be a string, number, boolean or list of strings" in said
    assert "ASCII" in refused(400 if VERSION[0] < 9 else None, index().upsert, vectors=[("é", [1.0, 1.0, 1.0])])


@check("before")
def records_are_deleted_by_id_filter_and_all():
    index().delete(ids=["d", "nobody"], namespace="n")
    index().delete(filter={"genre": {"$eq": "comedy"}}, namespace="n")
    assert sorted(index().fetch(ids=["a", "b", "c", "d"], namespace="n").vectors) == ["a", "b"]
    index().delete(delete_all=True, namespace="many")
    assert "many" not in index().describe_index_stats().namespaces


@check("before")
def tags_and_protection_are_configured():
    pc.configure_index(NAME, deletion_protection="enabled", tags={"team": "", "stage": "dev"})
    assert "Deletion protection is enabled" in refused(403, pc.delete_index, NAME)
    pc.configure_index(NAME, deletion_protection="disabled")
    assert dict(pc.describe_index(NAME).tags.to_dict() if VERSION[0] < 9 else pc.describe_index(NAME).tags) == {"stage": "dev"}


RECORDS = [
    {"_id": "r1", "chunk_text": "dark beer is brewed with roasted malt", "category": "brewing"},
    {"_id": "r2", "chunk_text": "the train to the coast leaves at nine", "category": "rail"},
    {"_id": "r3", "chunk_text": "beer on the train", "category": "rail"},
]


def hits(index, question, **more):
    """Ids and fields of what a search of records finds."""
    arguments = question if VERSION[0] >= 9 else {"query": question}
    found = index.search(namespace="n", **arguments, **more).result.hits
    return [(hit.id, dict(hit.fields)) if VERSION[0] >= 9 else (hit["_id"], dict(hit["fields"])) for hit in found]


def records_go_over_grpc():
    """Records are spoken of over REST in every client; those of versions 7 and 8 then want TLS."""
    return not GRPC or VERSION[0] >= 9


@check("before")
def integrated_indexes_embed_search_and_rerank():
    if not records_go_over_grpc():
        return
    name = f"{NAME}-texts"
    embed = {"model": "llama-text-embed-v2", "field_map": {"text": "chunk_text"}}
    pc.create_index_for_model(name=name, cloud="aws", region="us-east-1", embed=embed)
    texts = opened(name)
    texts.upsert_records(namespace="n", records=[dict(record) for record in RECORDS])
    question = {"inputs": {"text": "train to the coast"}, "top_k": 3}
    found = hits(texts, question, fields=["category"])
    assert found[0] == ("r2", {"category": "rail"}) and len(found) == 3, found
    whole = {"chunk_text": RECORDS[1]["chunk_text"], "category": "rail"}
    assert hits(texts, question)[0] == ("r2", whole), "all fields when nobody names any"
    rerank = {"model": "bge-reranker-v2-m3", "rank_fields": ["chunk_text"], "top_n": 1}
    assert [id for id, _ in hits(texts, question, rerank=rerank)] == ["r2"]
    assert hits(texts, {"id": "r1", "top_k": 1})[0][0] == "r1"
    vector = list(texts.fetch(ids=["r3"], namespace="n").vectors["r3"].values)
    by_vector = {"vector": {"values": vector}, "top_k": 1}
    assert hits(texts, by_vector)[0][0] == "r3"
    refused(400, hits, texts, by_vector, rerank=rerank)
    pc.delete_index(name)


@check("before", only_rest=True)
def plain_indexes_refuse_texts_until_they_have_a_model():
    name = f"{NAME}-later"
    pc.create_index(name=name, dimension=1024, metric="cosine", spec=SPEC)
    texts = opened(name)
    question = {"inputs": {"text": "beer"}, "top_k": 1}
    refused(400, hits, texts, question)
    if VERSION[0] < 9:
        pc.configure_index(name, embed={"model": "multilingual-e5-large", "field_map": {"text": "chunk_text"}})
        texts.upsert_records(namespace="n", records=[dict(record) for record in RECORDS])
        assert hits(texts, question)[0][0] in ("r1", "r3")
    pc.delete_index(name)


@check("before")
def sparse_vectors_are_scored_alone_and_beside_dense_ones():
    sparse, hybrid = f"{NAME}-sparse", f"{NAME}-hybrid"
    pc.create_index(name=sparse, vector_type="sparse", metric="dotproduct", spec=SPEC)
    alone = opened(sparse)
    alone.upsert(
        vectors=[
            {"id": "a", "sparse_values": {"indices": [1, 7], "values": [0.5, 0.25]}, "metadata": {"k": "v"}},
            {"id": "b", "sparse_values": {"indices": [7, 4_000_000_000], "values": [2.0, 1.0]}},
        ],
        namespace="n",
    )
    question = {"indices": [7], "values": [2.0]}
    found = alone.query(sparse_vector=question, top_k=2, namespace="n", include_metadata=True).matches
    assert [(one.id, one.score) for one in found] == [("b", 4.0), ("a", 0.5)] and found[1].metadata == {"k": "v"}
    kept = alone.fetch(ids=["b"], namespace="n").vectors["b"]
    assert list(kept.sparse_values.indices) == [7, 4_000_000_000] and not kept.values
    pc.create_index(name=hybrid, dimension=2, metric="dotproduct", spec=SPEC)
    both = opened(hybrid)
    both.upsert(
        vectors=[
            {"id": "a", "values": [1.0, 0.0], "sparse_values": {"indices": [3], "values": [4.0]}},
            {"id": "b", "values": [2.0, 0.0]},
        ]
    )
    found = both.query(vector=[1.0, 0.0], sparse_vector={"indices": [3], "values": [1.0]}, top_k=2).matches
    assert [(one.id, one.score) for one in found] == [("a", 5.0), ("b", 2.0)]
    assert [one.id for one in both.query(vector=[1.0, 0.0], top_k=2).matches] == ["b", "a"]
    for name in (sparse, hybrid):
        pc.delete_index(name)


@check("before", only_rest=True)
def texts_are_embedded_and_reranked():
    vectors = pc.inference.embed(
        model="multilingual-e5-large", inputs=["dark beer", "a train"], parameters={"input_type": "passage"}
    )
    assert len(vectors.data) == 2 and len(vectors.data[0].values) == 1024
    ranked = pc.inference.rerank(
        model="bge-reranker-v2-m3", query="dark beer", documents=["a train", "dark malt beer"], top_n=1
    )
    assert [one.index for one in ranked.data] == [1]
    bare = pc.inference.rerank(
        model="bge-reranker-v2-m3",
        query="beer",
        documents=[{"body": "a train"}, {"body": "beer"}],
        rank_fields=["body"],
        return_documents=False,
    )
    assert [one.index for one in bare.data] == [1, 0] and not bare.data[0].document
    assert "not found" in refused(404, pc.inference.embed, model="nobody", inputs=["x"], parameters={"input_type": "query"})
    refused(400, pc.inference.rerank, model="bge-reranker-v2-m3", query="x", documents=[{"body": "y"}], rank_fields=["title"])


@check("before")
def what_is_left_behind_for_after_the_restart():
    pc.create_index(name=KEPT, dimension=2, metric="euclidean", spec=SPEC)
    kept = index(KEPT)
    kept.upsert(vectors=[("near", [3.0, 4.0], {"k": "v"}), ("far", [30.0, 40.0])], namespace="n")
    pc.delete_index(NAME)
    refused(404, pc.describe_index, NAME)
    print(f"host {pc.describe_index(KEPT).host}")


@check("after")
def everything_is_there_after_a_kill():
    kept = index(KEPT)
    answer = kept.query(vector=[0.0, 0.0], top_k=5, namespace="n", include_metadata=True)
    assert ids(answer) == ["near", "far"] and answer.matches[0].score == 25.0
    assert answer.matches[0].metadata == {"k": "v"}
    assert not pc.has_index(NAME)
    print(f"host {pc.describe_index(KEPT).host}")
    pc.delete_index(KEPT)


@check("after")
def wrong_keys_are_refused():
    refused(401, Pinecone(api_key="wrong-key-1", host=SERVER).list_indexes)


@check("after")
def wrong_keys_are_refused_by_the_data_plane():
    pc.create_index(name=NAME, dimension=2, metric="cosine", spec=SPEC)
    host = pc.describe_index(NAME).host
    if GRPC and VERSION[0] < 9:
        from pinecone.grpc import GRPCClientConfig, PineconeGRPC

        plaintext = {"host": host.removeprefix("http://"), "grpc_config": GRPCClientConfig(secure=False)}
        stranger = PineconeGRPC(api_key="wrong-key-1", host=SERVER).Index(**plaintext)
    elif GRPC:
        stranger = Pinecone(api_key="wrong-key-1", host=SERVER, grpc_scheme="http").index(host=host, grpc=True)
    else:
        stranger = Pinecone(api_key="wrong-key-1", host=SERVER).Index(host=host)
    # To 2025-10 the data plane tells a wrong key from none.
    refused(401 if VERSION[0] >= 9 else 403, stranger.describe_index_stats)
    pc.delete_index(NAME)


failed = 0
for function in checks:
    try:
        function()
        print(f"ok     {function.__name__}")
    except Exception:
        failed += 1
        print(f"FAILED {function.__name__}")
        traceback.print_exc(file=sys.stdout)
transport = "gRPC" if GRPC else "REST"
print(f"pinecone {pinecone.__version__} over {transport} {PHASE}: {len(checks) - failed} of {len(checks)} checks hold")
sys.exit(failed)
