"""LangChain, LlamaIndex, Haystack and mem0 against a server, as their users have them: only the host of Pinecone is another.

usage: frameworks.py SERVER_URL API_KEY before|after
"""

import atexit
import os
import shutil
import sys
import tempfile
import traceback
import zlib

SERVER, KEY, PHASE = sys.argv[1:4]
MEM0_DIR = tempfile.mkdtemp(prefix="pinyon-mem0-")
atexit.register(shutil.rmtree, MEM0_DIR, ignore_errors=True)
os.environ.update(PINECONE_API_KEY=KEY, PINECONE_CONTROLLER_HOST=SERVER, OPENAI_API_KEY="never-sent", MEM0_DIR=MEM0_DIR)
# Nobody phones home.
os.environ.update(MEM0_TELEMETRY="False", HAYSTACK_TELEMETRY_ENABLED="False", ANONYMIZED_TELEMETRY="False")

from haystack.dataclasses import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.components.retrievers.pinecone import PineconeEmbeddingRetriever
from haystack_integrations.document_stores.pinecone import PineconeDocumentStore
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_pinecone import PineconeEmbeddings, PineconeRerank, PineconeVectorStore
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.vector_stores.pinecone import PineconeVectorStore as LlamaStore
from mem0 import Memory
from pinecone import Pinecone, ServerlessSpec

DIMENSION = 32
SPEC = ServerlessSpec(cloud="aws", region="us-east-1")
TEXTS = {
    "beer": "dark beer is brewed with roasted malt",
    "rail": "the train to the coast leaves at nine",
    "wood": "the old forest begins behind the mill",
}

pc = Pinecone(api_key=KEY, host=SERVER)


class Words(Embeddings):
    """Every word adds one to a component: the same text always gives the same vector."""

    def embed_query(self, text):
        vector = [0.01] * DIMENSION
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % DIMENSION] += 1.0
        return vector

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


class MemoryWords(Words):
    """The same under the name that mem0 calls."""

    config = None

    def embed(self, text, memory_action=None):
        return self.embed_query(text)

    def embed_batch(self, texts, memory_action=None):
        return self.embed_documents(texts)


def left_in(name, namespace=""):
    """Ids that the plain SDK still finds."""
    return sorted(one for page in pc.Index(name).list(namespace=namespace) for one in page)


def made(name):
    pc.create_index(name=name, dimension=DIMENSION, metric="cosine", spec=SPEC)
    return name


def langchain_store(name, **more):
    return PineconeVectorStore(index_name=name, embedding=Words(), pinecone_api_key=KEY, **more)


def langchain_stores_searches_and_deletes():
    store = langchain_store(made("langchain"))
    metadatas = [{"topic": topic, "page": page} for page, topic in enumerate(TEXTS)]
    assert store.add_texts(list(TEXTS.values()), metadatas=metadatas, ids=list(TEXTS)) == list(TEXTS)
    best = store.similarity_search("the train to the coast", k=1)[0]
    assert best.page_content == TEXTS["rail"] and best.metadata["topic"] == "rail", best
    assert isinstance(best.metadata["page"], float), "whole numbers come back as the vendor writes them"
    found = store.similarity_search_with_score("the train", k=3, filter={"topic": {"$ne": "rail"}})
    assert {document.metadata["topic"] for document, _ in found} == {"beer", "wood"}
    assert found[0][1] >= found[1][1]
    store.delete(ids=["beer"])
    store.delete(filter={"topic": "wood"})
    assert [one.metadata["topic"] for one in store.similarity_search("anything", k=9)] == ["rail"]


def langchain_retrieves_from_a_namespace():
    documents = [Document(page_content=text, metadata={"topic": topic}) for topic, text in TEXTS.items()]
    store = langchain_store("langchain", namespace="shelf")
    store.add_documents(documents, ids=list(TEXTS))
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 3})
    found = retriever.invoke("roasted malt in dark beer")
    assert len(found) == 2 and found[0].metadata["topic"] == "beer"
    close = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.99})
    assert [one.metadata["topic"] for one in close.invoke(TEXTS["wood"])] == ["wood"]
    store.delete(delete_all=True, namespace="shelf")
    assert retriever.invoke("beer") == []


def langchain_embeds_and_reranks_through_the_server():
    embeddings = PineconeEmbeddings(model="multilingual-e5-large", pinecone_api_key=KEY)
    vectors = embeddings.embed_documents(list(TEXTS.values()))
    assert [len(vector) for vector in vectors] == [1024] * 3 and len(embeddings.embed_query("beer")) == 1024
    reranker = PineconeRerank(model="bge-reranker-v2-m3", top_n=1, pinecone_api_key=KEY)
    ranked = reranker.rerank([Document(page_content=text) for text in TEXTS.values()], "dark malt beer")
    assert [one["index"] for one in ranked] == [0], ranked


def llama_store(name):
    return LlamaStore(pinecone_index=pc.Index(name), namespace="nodes")


def llama_index_adds_queries_and_deletes():
    store, words = llama_store(made("llama-index")), Words()
    nodes = [
        TextNode(id_=topic, text=text, metadata={"topic": topic, "size": len(text)}, embedding=words.embed_query(text))
        for topic, text in TEXTS.items()
    ]
    assert store.add(nodes, show_progress=False) == list(TEXTS)
    ask = lambda text, **more: store.query(VectorStoreQuery(query_embedding=words.embed_query(text), similarity_top_k=2, **more))
    answer = ask("the train to the coast")
    assert answer.ids[0] == "rail" and answer.nodes[0].get_content() == TEXTS["rail"]
    only_beer = MetadataFilters(filters=[MetadataFilter(key="topic", value="beer")])
    assert ask("the train to the coast", filters=only_beer).ids == ["beer"]
    store.delete_nodes(node_ids=["wood"])
    assert "wood" not in ask("the old forest").ids


def langchain_clears():
    store = langchain_store(made("langchain-clear"))
    store.add_texts(list(TEXTS.values()), ids=list(TEXTS))
    store.delete(ids=["beer"])
    assert left_in("langchain-clear") == ["rail", "wood"]
    store.delete(delete_all=True)
    assert left_in("langchain-clear") == [] and store.similarity_search("beer", k=3) == []
    pc.delete_index("langchain-clear")


def llama_index_deletes_and_clears(name, **namespace):
    store, words = LlamaStore(pinecone_index=pc.Index(made(name)), **namespace), Words()
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book")}
    nodes = [
        TextNode(id_=topic, text=text, metadata={"topic": topic}, embedding=words.embed_query(text), relationships=related)
        for (topic, text), related in zip(TEXTS.items(), [source, {}, {}])
    ]
    store.add(nodes, show_progress=False)
    where = namespace.get("namespace", "")
    store.delete(ref_doc_id="book")
    assert left_in(name, where) == ["rail", "wood"]
    store.delete_nodes(filters=MetadataFilters(filters=[MetadataFilter(key="topic", value="rail")]))
    assert left_in(name, where) == ["wood"]
    store.clear()
    assert left_in(name, where) == []
    pc.delete_index(name)


def llama_index_deletes_and_clears_in_a_namespace():
    llama_index_deletes_and_clears("llama-named", namespace="nodes")


def llama_index_deletes_and_clears_without_a_namespace():
    llama_index_deletes_and_clears("llama-plain")


def haystack_writes_searches_deletes_and_clears():
    store = PineconeDocumentStore(
        api_key=Secret.from_token(KEY), index="haystack", namespace="shelf", dimension=DIMENSION, show_progress=False
    )
    words = Words()
    documents = [
        HaystackDocument(id=topic, content=text, meta={"topic": topic}, embedding=words.embed_query(text))
        for topic, text in TEXTS.items()
    ]
    assert store.write_documents(documents) == 3 and store.count_documents() == 3
    retriever = PineconeEmbeddingRetriever(document_store=store, top_k=1)
    best = retriever.run(query_embedding=words.embed_query("the train to the coast"))["documents"]
    assert [one.id for one in best] == ["rail"] and best[0].content == TEXTS["rail"], best
    is_wood = {"field": "meta.topic", "operator": "==", "value": "wood"}
    assert [one.id for one in store.filter_documents(is_wood)] == ["wood"]
    store.delete_documents(["beer"])
    assert left_in("haystack", "shelf") == ["rail", "wood"]
    assert store.delete_by_filter(is_wood) == 1
    assert left_in("haystack", "shelf") == ["rail"]
    store.delete_all_documents()
    assert left_in("haystack", "shelf") == [] and store.count_documents() == 0
    pc.delete_index("haystack")


def memory(name, **more):
    """A store of mem0 that embeds here and asks no model: what is added is kept as it is."""
    config = {"collection_name": name, "embedding_model_dims": DIMENSION, "api_key": KEY, **more}
    store = Memory.from_config(
        {
            "vector_store": {"provider": "pinecone", "config": config},
            "history_db_path": os.path.join(MEM0_DIR, f"{name}.db"),
        }
    )
    store.embedding_model = MemoryWords()
    return store


def mem0_adds_searches_deletes_and_clears(name, **more):
    where = more.get("namespace", "")
    store = memory(name, **more)
    ids = {}
    for user in ("ann", "bob"):
        for topic, text in TEXTS.items():
            ids[user, topic] = store.add(text, user_id=user, infer=False)["results"][0]["id"]
    found = store.search("the train to the coast", filters={"user_id": "ann"}, top_k=1)["results"]
    assert [one["memory"] for one in found] == [TEXTS["rail"]], found
    assert len(store.get_all(filters={"user_id": "ann"})["results"]) == 3
    store.update(ids["ann", "wood"], "the young forest")
    assert store.get(ids["ann", "wood"])["memory"] == "the young forest"
    store.delete(ids["ann", "beer"])
    assert len(left_in(name, where)) == 5 and ids["ann", "beer"] not in left_in(name, where)
    store.delete_all(user_id="ann")
    assert left_in(name, where) == sorted(one for (user, _), one in ids.items() if user == "bob")
    store.reset()
    assert left_in(name, where) == []
    store.vector_store.delete_col()
    if "namespace" in more:
        pc.delete_index(name)
    assert not pc.has_index(name)


def mem0_in_a_namespace():
    mem0_adds_searches_deletes_and_clears("mem0-named", namespace="memories")


def mem0_without_a_namespace():
    mem0_adds_searches_deletes_and_clears("mem0-plain")


def both_are_there_after_a_kill():
    assert [one.metadata["topic"] for one in langchain_store("langchain").similarity_search("train", k=9)] == ["rail"]
    answer = llama_store("llama-index").query(VectorStoreQuery(query_embedding=[1.0] * DIMENSION, similarity_top_k=9))
    assert sorted(answer.ids) == ["beer", "rail"]
    for name in ("langchain", "llama-index"):
        pc.delete_index(name)


BEFORE = [
    langchain_stores_searches_and_deletes,
    langchain_retrieves_from_a_namespace,
    langchain_embeds_and_reranks_through_the_server,
    langchain_clears,
    llama_index_adds_queries_and_deletes,
    llama_index_deletes_and_clears_in_a_namespace,
    llama_index_deletes_and_clears_without_a_namespace,
    haystack_writes_searches_deletes_and_clears,
    mem0_in_a_namespace,
    mem0_without_a_namespace,
]
checks = BEFORE if PHASE == "before" else [both_are_there_after_a_kill]
failed = 0
for check in checks:
    try:
        check()
        print(f"ok     {check.__name__}")
    except Exception:
        failed += 1
        print(f"FAILED {check.__name__}")
        traceback.print_exc(file=sys.stdout)
print(f"frameworks {PHASE}: {len(checks) - failed} of {len(checks)} checks hold")
sys.exit(failed)
