"""Writes a data directory with every kind of file, by the program of today, for the test that later programs read it (tests/it/older.rs).

python3 tests/golden/data/make.py PINYON VERSION     writes VERSION-sled.tar.gz (ended cleanly), VERSION-redb.tar.gz (killed) and
VERSION.json.gz (what they hold) beside this file. Run once for every version of the formats, before they change.
"""
import atexit, gzip, json, os, random, signal, subprocess, sys, tarfile, tempfile, time, urllib.error, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = dict(PINYON_SEAL_KIB="64", PINYON_QUESTIONS_KEPT="disk", PINYON_LOG="warn")
GRAPH_ROWS, GROUPS, DIM = 21_000, 150, 4


class Server:
    def __init__(self, program, directory, catalog):
        arguments = [program, "serve", "--json", "--listen", "127.0.0.1:0", "--data-dir", directory,
                     "--num-shards", "2", "--vector-dimension", "32", "--catalog", catalog]
        self.child = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=dict(os.environ, **SMALL))
        atexit.register(self.child.kill)
        self.url = json.loads(self.child.stdout.readline())["url"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "x-pinecone-api-version": "2025-10"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read()[:300]}")
        return json.loads(text) if text else None

    def end(self, by):
        self.child.send_signal(by)
        self.child.wait()


def rounded(rng, count):
    return [round(rng.uniform(-1, 1), 3) or 0.5 for _ in range(count)]


def metadata(number):
    of_all = {"n": number, "half": number / 2, "even": number % 2 == 0, "kind": ["red", "green", "blue"][number % 3],
              "words": [f"w{number % 7}", "ünï"]}
    return dict(list(of_all.items())[: 1 + number % 5])


def upsert(server, index, namespace, vectors):
    for at in range(0, len(vectors), 500):
        body = {"namespace": namespace, "vectors": vectors[at:at + 500]}
        server.ask("POST", f"/indexes/{index}/vectors/upsert", body)


def create(server, name, **more):
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    server.ask("POST", "/indexes", {"name": name, "spec": spec, "tags": {"team": "search"}, **more})


def small(server, index, rng, kind):
    """Overwrites, all kinds of deletions, updates, merges: five namespaces of some hundred records."""
    def vector(number):
        made = {"id": f"id-{number:04}", "metadata": metadata(number)}
        if kind != "sparse":
            made["values"] = rounded(rng, DIM)
        if kind != "dense":
            at = sorted(rng.sample(range(1000), 3))
            made["sparseValues"] = {"indices": at, "values": [abs(v) + 0.1 for v in rounded(rng, 3)]}
        return made
    for part in range(5):
        namespace = ["", "acme", "umlaut-ä", "globex", "gone"][part]
        upsert(server, index, namespace, [vector(n) for n in range(300)])
        upsert(server, index, namespace, [vector(n) for n in range(100, 180)])
    delete = f"/indexes/{index}/vectors/delete"
    server.ask("POST", delete, {"namespace": "", "ids": [f"id-{n:04}" for n in range(0, 90, 3)]})
    server.ask("POST", delete, {"namespace": "acme", "filter": {"n": {"$gte": 250}}})
    server.ask("POST", delete, {"namespace": "gone", "deleteAll": True})
    server.ask("POST", f"/indexes/{index}/vectors/update",
               {"namespace": "globex", "id": "id-0007", "setMetadata": {"changed": True}})


def fill(server, rng):
    create(server, "dense", dimension=DIM, metric="cosine")
    create(server, "hybrid", dimension=DIM, metric="dotproduct")
    create(server, "sparse", metric="dotproduct", vector_type="sparse")
    create(server, "far", dimension=DIM, metric="euclidean", deletion_protection="enabled")
    create(server, "empty", dimension=DIM)
    create(server, "removed", dimension=DIM)
    small(server, "dense", rng, "dense")
    small(server, "hybrid", rng, "hybrid")
    small(server, "sparse", rng, "sparse")
    groups = [rounded(rng, DIM) for _ in range(GROUPS)]
    upsert(server, "far", "large", [{"id": f"r{n:05}", "values": groups[n % GROUPS]} for n in range(GRAPH_ROWS)])
    server.ask("DELETE", "/indexes/removed")
    for tenant in ["acme-corp", "globex", "initech"]:
        documents = [{"id": f"{tenant}-{n}", "text": f"The {n}th train of {tenant} is late.", "metadata": metadata(n)}
                     for n in range(40)]
        server.ask("POST", "/ingest", {"tenant_id": tenant, "documents": documents})
    server.ask("POST", "/admin/v1/tenants", {"tenants": ["promised"]})
    server.ask("POST", "/delete", {"tenant_id": "globex", "ids": ["globex-3", "globex-4"]})


def ask_some(server, rng):
    for _ in range(90):
        body = {"namespace": "large", "topK": 10, "vector": rounded(rng, DIM)}
        server.ask("POST", "/indexes/far/query", body)


def contents(server):
    """All records of small namespaces, some of large ones."""
    found = {}
    for index in ["dense", "hybrid", "sparse", "far", "empty", "tenants"]:
        stats = server.ask("POST", f"/indexes/{index}/describe_index_stats", {})
        of_index = found[index] = {}
        for namespace, counted in stats["namespaces"].items():
            count = counted["vectorCount"]
            ids, page = [], ""
            while len(ids) < min(count, 600) and page is not None:
                said = server.ask("GET", f"/indexes/{index}/vectors/list?limit=99&namespace="
                                  f"{urllib.request.quote('' if namespace == '__default__' else namespace)}{page}")
                ids += [vector["id"] for vector in said["vectors"]]
                following = (said.get("pagination") or {}).get("next")
                page = None if following is None else f"&paginationToken={urllib.request.quote(following)}"
            records = {}
            for at in range(0, len(ids), 7 if index == "far" else 1):
                records[ids[at]] = None
            wanted = list(records)
            for at in range(0, len(wanted), 50):
                query = "&".join(f"ids={urllib.request.quote(one)}" for one in wanted[at:at + 50])
                name = urllib.request.quote("" if namespace == "__default__" else namespace)
                said = server.ask("GET", f"/indexes/{index}/vectors/fetch?namespace={name}&{query}")
                for one, record in said["vectors"].items():
                    if index == "tenants":
                        record.pop("values")
                    records[one] = record
            of_index[namespace] = {"count": count, "records": records}
    return found


def pack(directory, name):
    def plain(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member
    path = os.path.join(HERE, name)
    with tarfile.open(path, "w:gz", compresslevel=9, format=tarfile.GNU_FORMAT) as tar:
        for root, folders, files in os.walk(directory):
            folders.sort()
            for file in sorted(files):
                whole = os.path.join(root, file)
                tar.add(whole, os.path.relpath(whole, directory), filter=plain)
    print(f"{name}: {os.path.getsize(path)} bytes")


def main():
    program, version = sys.argv[1:]
    said = {}
    for catalog, by in [("sled", signal.SIGTERM), ("redb", signal.SIGKILL)]:
        rng = random.Random(7)
        with tempfile.TemporaryDirectory() as directory:
            server = Server(program, directory, catalog)
            fill(server, rng)
            time.sleep(8)
            ask_some(server, rng)
            server.ask("POST", "/ingest", {"tenant_id": "acme-corp", "documents": [{"id": "last", "text": "Once more."}]})
            time.sleep(8)
            # A record that only a log has.
            server.ask("POST", "/ingest", {"tenant_id": "initech", "documents": [{"id": "tail", "text": "In the log."}]})
            said[catalog] = contents(server)
            server.end(by)
            kinds = sorted({os.path.basename(f).split(".")[-1] for _, _, fs in os.walk(directory) for f in fs})
            print(catalog, kinds)
            pack(directory, f"{version}-{catalog}.tar.gz")
    assert said["sled"] == said["redb"]
    text = json.dumps(said["sled"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    with open(os.path.join(HERE, f"{version}.json.gz"), "wb") as out:
        out.write(gzip.compress(text.encode(), 9, mtime=0))


main()
