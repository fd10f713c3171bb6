"""Engines that store rows with fields on disk, in this process. Durability is what they do by default.

Each is filled once, then asked over all rows, in one tenant, and under filters, at several efforts.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path

import measure
from sets import K

M = 16
EF_CONSTRUCTION = 200
EFFORTS = (16, 32, 64, 128, 256)
BATCH = 1000
# One segment, however many rows: several would be searched one after the other.
SEGMENT_KB = 100_000_000


def tenant_name(tenant):
    return f"tenant-{tenant}"


class Row:
    """A row with its fields, as the engines take it."""

    def __init__(self, data, at):
        self.id, self.vector = at, data.base[at].tolist()
        self.fields = {
            "tenant": tenant_name(data.tenants[at]),
            "cat": data.category_names[data.category[at]],
            "num": float(data.num[at]),
            "flag": int(data.flag[at]),
        }


class QdrantEdge:
    """One shard. Tenants are a keyword field marked as such, with graphs of their own inside the large one (payload_m)."""

    name, package = "qdrant-edge", "qdrant-edge-py"

    def open(self, directory, dim):
        import qdrant_edge as q

        self.q, place = q, directory / "shard"
        place.mkdir()
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(size=dim, distance=q.Distance.Cosine),
            hnsw_config=q.HnswIndexConfig(
                m=M,
                payload_m=M,
                ef_construct=EF_CONSTRUCTION,
                full_scan_threshold=10_000,
                max_indexing_threads=1,
            ),
            optimizers=q.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=SEGMENT_KB),
            max_search_threads=1,
        )
        self.shard = q.EdgeShard.create(str(place), config)
        self.index_fields()

    def index_fields(self):
        q = self.q
        kinds = {
            "tenant": q.KeywordIndexParams(is_tenant=True),
            "cat": q.KeywordIndexParams(),
            "num": q.FloatIndexParams(),
            # As 0 and 1: MatchValue(True) of 0.9.0 becomes the number 1 and finds no boolean.
            "flag": q.IntegerIndexParams(lookup=True),
        }
        for field, kind in kinds.items():
            self.shard.update(q.UpdateOperation.create_field_index(field, kind))

    def write(self, rows):
        points = [self.q.Point(row.id, row.vector, row.fields) for row in rows]
        self.shard.update(self.q.UpdateOperation.upsert_points(points))

    def finish(self):
        while self.shard.optimize():
            pass
        self.shard.flush()

    def condition(self, field, value):
        q = self.q
        if field == "num":
            return q.FieldCondition("num", range=q.RangeFloat(lt=value))
        return q.FieldCondition(field, match=q.MatchValue(int(value) if field == "flag" else value))

    def prepare(self, effort, field=None, value=None):
        """What a query beside its vector needs; made before the clock starts."""
        chosen = self.q.Filter(must=[self.condition(field, value)]) if field else None
        return {"filter": chosen, "params": self.q.SearchParams(hnsw_ef=effort)}

    def search(self, query, prepared):
        nearest = self.q.Query.Nearest(query.tolist())
        found = self.shard.query(self.q.QueryRequest(limit=K, query=nearest, **prepared))
        return [one.id for one in found]

    def close(self):
        self.shard.close()


class Zvec:
    """One collection. Tenants are a text field with an inverted index."""

    name, package = "zvec", "zvec"

    def open(self, directory, dim):
        import zvec as z

        self.z = z
        z.init(query_threads=1, optimize_threads=1, log_level=z.LogLevel.ERROR)
        graph = z.HnswIndexParam(metric_type=z.MetricType.COSINE, m=M, ef_construction=EF_CONSTRUCTION)
        fields = [
            self.field("tenant", z.DataType.STRING),
            self.field("cat", z.DataType.STRING),
            self.field("num", z.DataType.FLOAT, has_ranges=True),
            self.field("flag", z.DataType.INT32),
        ]
        vectors = [z.VectorSchema("vector", z.DataType.VECTOR_FP32, dim, index_param=graph)]
        schema = z.CollectionSchema("rows", fields=fields, vectors=vectors)
        self.collection = z.create_and_open(str(directory / "collection"), schema)

    def field(self, name, kind, has_ranges=False):
        index = self.z.InvertIndexParam(enable_range_optimization=has_ranges)
        return self.z.FieldSchema(name, kind, index_param=index)

    def write(self, rows):
        made = [self.z.Doc(str(row.id), vectors={"vector": row.vector}, fields=row.fields) for row in rows]
        refused = [one for one in self.collection.upsert(made) if not one.ok()]
        if refused:
            raise RuntimeError(f"a row was refused: {refused[0]}")

    def finish(self):
        self.collection.optimize(self.z.OptimizeOption(concurrency=1))
        self.collection.flush()

    def prepare(self, effort, field=None, value=None):
        """What a query beside its vector needs; made before the clock starts."""
        conditions = {"num": f"num < {value}", "flag": f"flag = {int(value is True)}", None: None}
        chosen = conditions.get(field, f"{field} = '{value}'")
        return {"filter": chosen, "effort": self.z.HnswQueryParam(ef=effort)}

    def search(self, query, prepared):
        asked = self.z.Query("vector", vector=query, param=prepared["effort"])
        found = self.collection.query(asked, topk=K, filter=prepared["filter"], output_fields=[])
        return [int(one.id) for one in found]

    def close(self):
        self.collection.close()


ALL = (QdrantEdge, Zvec)


def lines(kind, data, settings):
    """Fills one engine and measures it."""
    directory, engine = Path(tempfile.mkdtemp(prefix="pinyon-rivals-")), kind()
    try:
        engine.open(directory, data.base.shape[1])
        yield measure.build_line(kind.name, len(data.base), lambda: fill(engine, data))
        curve, done = [], set()
        for effort in EFFORTS[:: settings.effort_step]:
            for name, line in measures(engine, data, effort, settings):
                # More effort would be slower, for a recall that nothing is compared at.
                if name not in done:
                    yield note(line(), name, done, curve)
        yield from measure.at_lines(kind.name, curve)
        engine.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fill(engine, data):
    for start in range(0, len(data.base), BATCH):
        engine.write([Row(data, at) for at in range(start, min(start + BATCH, len(data.base)))])
    engine.finish()


def note(line, name, done, curve):
    """Remembers what a line says for the lines to come."""
    if line["recall"] >= measure.RECALL_ENOUGH:
        done.add(name)
    if line["bench"] == "curve":
        curve.append(line)
    return line


def measures(engine, data, effort, settings):
    """Everything that is measured at one effort: a name, and what measures it."""
    yield "curve", partial(whole_line, engine, data, effort, settings)
    for mix in ("proportional", "uniform"):
        yield mix, partial(tenant_line, engine, data, mix, effort, settings)
    for condition in data.filters:
        yield condition.name, partial(filter_line, engine, data, condition, effort, settings)


def whole_line(engine, data, effort, settings):
    arguments = [(query, engine.prepare(effort)) for query in data.queries]
    line = {"bench": "curve", "engine": engine.name, "ef": effort}
    return line | measure.point(engine.search, arguments, data.truth, settings.passes)


def tenant_line(engine, data, mix, effort, settings):
    tenants, truth = data.pairs({"proportional": "prop", "uniform": "uni"}[mix])
    chosen = [engine.prepare(effort, "tenant", tenant_name(tenant)) for tenant in tenants]
    line = {"bench": "tenants", "engine": engine.name, "mix": mix, "ef": effort}
    return line | measure.point(engine.search, list(zip(data.queries, chosen)), truth, settings.passes)


def filter_line(engine, data, condition, effort, settings):
    chosen = engine.prepare(effort, condition.field, condition.value)
    arguments = [(query, chosen) for query in data.queries]
    line = {"bench": "filters", "engine": engine.name, "filter": condition.name, "ef": effort}
    line["selectivity"] = round(float(data.passing(condition).mean()), 5)
    return line | measure.point(engine.search, arguments, data.answers(condition), settings.passes)
