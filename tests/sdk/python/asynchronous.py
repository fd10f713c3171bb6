"""The asyncio clients of the official Python SDK, versions 7, 8 and 10, against a server.

usage: asynchronous.py SERVER_URL API_KEY before|after
"""

import asyncio
import sys
import traceback

import pinecone
from pinecone import ServerlessSpec

VERSION = int(pinecone.__version__.split(".")[0])
SERVER, KEY, PHASE = sys.argv[1:4]
NAME = f"async-{VERSION}"
SPEC = ServerlessSpec(cloud="aws", region="us-east-1")
Client = pinecone.AsyncPinecone if VERSION >= 9 else pinecone.PineconeAsyncio
RECORDS = [
    {"_id": "r1", "chunk_text": "dark beer is brewed with roasted malt", "topic": "brewing"},
    {"_id": "r2", "chunk_text": "the train to the coast leaves at nine", "topic": "rail"},
]


def pinecone_client():
    return Client(api_key=KEY, host=SERVER)


async def opened(pc, name=NAME):
    host = (await pc.describe_index(name)).host
    return await pc.index(host=host) if VERSION >= 9 else pc.IndexAsyncio(host=host)


async def indexes_and_vectors(pc):
    await pc.create_index(name=NAME, dimension=3, metric="cosine", spec=SPEC)
    assert await pc.has_index(NAME) and (await pc.describe_index(NAME)).name == NAME
    assert NAME in [one.name for one in await pc.list_indexes()]
    async with await opened(pc) as index:
        vectors = [(f"v{number:02}", [float(number), 1.0, 0.5], {"even": number % 2 == 0}) for number in range(50)]
        # Many at once on one connection pool: each batch in a namespace of its own.
        writes = [index.upsert(vectors=vectors, namespace=f"n{number}") for number in range(8)]
        assert [one.upserted_count for one in await asyncio.gather(*writes)] == [50] * 8
        asked = {"vector": [49.0, 1.0, 0.5], "top_k": 3, "include_metadata": True, "filter": {"even": False}}
        answers = await asyncio.gather(*(index.query(namespace=f"n{number}", **asked) for number in range(8)))
        assert {tuple(match.id for match in answer.matches) for answer in answers} == {("v49", "v47", "v45")}
        fetched = await index.fetch(ids=["v01", "nobody"], namespace="n0")
        assert list(fetched.vectors) == ["v01"] and fetched.vectors["v01"].metadata == {"even": False}
        await index.update(id="v01", set_metadata={"seen": True}, namespace="n0")
        assert (await index.fetch(ids=["v01"], namespace="n0")).vectors["v01"].metadata == {"even": False, "seen": True}
        await index.delete(ids=["v00"], namespace="n0")
        await index.delete(delete_all=True, namespace="n7")
        stats = await index.describe_index_stats()
        counts = {name: one.vector_count for name, one in stats.namespaces.items()}
        assert counts["n0"] == 49 and "n7" not in counts and stats.total_vector_count == 349, counts


async def namespaces_and_listing(pc):
    async with await opened(pc) as index:
        found = []
        async for page in index.list(namespace="n1", prefix="v1"):
            found += [one.id for one in page.vectors] if VERSION >= 9 else page
        assert found == [f"v1{digit}" for digit in range(10)], found
        described = await index.describe_namespace(namespace="n1")
        assert int(described.record_count) == 50
        await index.delete_namespace(namespace="n1")
        assert "n1" not in (await index.describe_index_stats()).namespaces


async def integrated_records(pc):
    name = f"{NAME}-texts"
    embed = {"model": "multilingual-e5-large", "field_map": {"text": "chunk_text"}}
    await pc.create_index_for_model(name=name, cloud="aws", region="us-east-1", embed=embed)
    async with await opened(pc, name) as index:
        await index.upsert_records(namespace="n", records=[dict(one) for one in RECORDS])
        question = {"inputs": {"text": "train to the coast"}, "top_k": 1}
        answer = await (index.search(namespace="n", **question) if VERSION >= 9 else index.search(namespace="n", query=question))
        hit = answer.result.hits[0]
        assert (hit.id if VERSION >= 9 else hit["_id"]) == "r2"
        fields = dict(hit.fields if VERSION >= 9 else hit["fields"])
        assert fields == {"chunk_text": RECORDS[1]["chunk_text"], "topic": "rail"}, fields
    await pc.delete_index(name)


async def mistakes(pc):
    async with await opened(pc) as index:
        try:
            await index.upsert(vectors=[("x", [1.0])])
        except Exception as error:  # the versions' exception classes have no common root
            assert "Vector dimension 1 does not match the dimension of the index 3" in f"{error}", error
        else:
            raise AssertionError("a vector of another length was taken")


async def after_a_kill(pc):
    async with await opened(pc) as index:
        answer = await index.query(id="v49", top_k=1, namespace="n0")
        assert [match.id for match in answer.matches] == ["v49"]
        assert (await index.describe_index_stats()).total_vector_count == 299
    print(f"host {(await pc.describe_index(NAME)).host}")
    await pc.delete_index(NAME)
    assert not await pc.has_index(NAME)


async def main():
    checks = [after_a_kill] if PHASE == "after" else [indexes_and_vectors, namespaces_and_listing, integrated_records, mistakes]
    failed = 0
    async with pinecone_client() as pc:
        for check in checks:
            try:
                await check(pc)
                print(f"ok     {check.__name__}")
            except Exception:
                failed += 1
                print(f"FAILED {check.__name__}")
                traceback.print_exc(file=sys.stdout)
        if PHASE == "before":
            print(f"host {(await pc.describe_index(NAME)).host}")
    print(f"pinecone {pinecone.__version__} with asyncio {PHASE}: {len(checks) - failed} of {len(checks)} checks hold")
    return failed


sys.exit(asyncio.run(main()))
