"""Libraries that hold one graph in memory: each is built, told its effort, and asked, by one thread.

All have M=16 (32 links at the lowest level) and efConstruction=200, on inner products of rows that are 1 long.
"""

import measure
import numpy as np
from sets import K

M = 16
EF_CONSTRUCTION = 200
EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 1000)


class Hnswlib:
    name, package = "hnswlib", "hnswlib"

    def build(self, rows):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.set_num_threads(1)
        self.index.add_items(rows, num_threads=1)

    def set_effort(self, effort):
        self.index.set_ef(effort)

    def search(self, query):
        return self.index.knn_query(query, K, num_threads=1)[0][0]

    def search_all(self, queries, k):
        return self.index.knn_query(queries, k, num_threads=1)[0]


class FaissHnsw:
    name, package = "faiss-hnsw", "faiss-cpu"

    def empty(self, faiss, dim):
        return faiss.IndexHNSWFlat(dim, M, faiss.METRIC_INNER_PRODUCT)

    def build(self, rows):
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = self.empty(faiss, rows.shape[1])
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.train(rows)
        self.index.add(rows)

    def set_effort(self, effort):
        self.index.hnsw.efSearch = effort

    def search(self, query):
        return self.index.search(query[None], K)[1][0]

    def search_all(self, queries, k):
        return self.index.search(queries, k)[1]


class FaissHnswSq8(FaissHnsw):
    """8 bits a component, answers by the quantised distance."""

    name = "faiss-hnsw-sq8"

    def empty(self, faiss, dim):
        return faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, M, faiss.METRIC_INNER_PRODUCT)


class UsearchF32:
    name, package, dtype = "usearch-f32", "usearch", "f32"

    def build(self, rows):
        from usearch.index import Index

        settings = {"connectivity": M, "expansion_add": EF_CONSTRUCTION}
        self.index = Index(ndim=rows.shape[1], metric="ip", dtype=self.dtype, **settings)
        self.index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=1)

    def set_effort(self, effort):
        self.index.expansion_search = effort

    def search(self, query):
        return self.index.search(query, K, threads=1).keys

    def search_all(self, queries, k):
        return self.index.search(queries, k, threads=1).keys


class UsearchI8(UsearchF32):
    name, dtype = "usearch-i8", "i8"


ALL = (Hnswlib, FaissHnsw, FaissHnswSq8, UsearchF32, UsearchI8)


def lines(kind, data, settings):
    """Builds one library's index of all rows and measures its curve."""
    index, curve = kind(), []
    yield measure.build_line(kind.name, len(data.base), lambda: index.build(data.base))
    arguments = [(query,) for query in data.queries]
    for effort in EFFORTS[:: settings.effort_step]:
        index.set_effort(effort)
        line = {"bench": "curve", "engine": kind.name, "ef": effort}
        line |= measure.point(index.search, arguments, data.truth, settings.passes)
        line |= measure.batch(index.search_all, data.queries, settings.passes)
        curve.append(line)
        yield line
        if line["recall"] >= measure.RECALL_ENOUGH:
            break
    yield from measure.at_lines(kind.name, curve)
