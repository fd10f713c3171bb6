"""Data sets: read, made smaller, or made from nothing, always as a directory of `.npy` files.

Peers and Pinyon read the same directory, so that both are measured on the same rows; `benches/README.md` lists the files.
"""

import json
from functools import cached_property
from pathlib import Path

import numpy as np

K = 10
TRUTH_WIDTH = 100
NOBODY = -1
# Of sets of many components: how variance falls, how far rows lie from their cluster's middle and how differently, noise.
# With 50,000 rows a query's nearest, tenth and hundredth have cosines of about 0.61, 0.51 and 0.37 and a local dimension of
# 25; those of as many passages by all-MiniLM-L6-v2 have 0.61, 0.46, 0.37 and 27.
WIDE_POWER, WIDE_SPREAD, WIDE_UNEVEN, WIDE_NOISE = 0.5, 1.3, 0.4, 0.1


class DataSet:
    """A directory; files are read when they are first asked for."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def read(self, name):
        return np.load(self.directory / f"{name}.npy")

    @cached_property
    def base(self):
        half = (self.directory / "base.f16.npy").exists()
        return normalised(self.read("base.f16" if half else "base"))

    @cached_property
    def queries(self):
        return normalised(self.read("queries"))

    @cached_property
    def truth(self):
        return self.read("gt100")[:, :K]

    @cached_property
    def tenants(self):
        return self.read("tenants")

    @cached_property
    def num(self):
        return self.read("num")

    @cached_property
    def flag(self):
        return self.read("flag")

    @cached_property
    def category(self):
        return self.read("cat")

    @cached_property
    def category_names(self):
        return json.loads((self.directory / "cats.json").read_text())

    @cached_property
    def filters(self):
        """Conditions that there are answers for, in the order of `Filter.all_of`."""
        filters = Filter.all_of(self.category_names)
        return [one for one in filters if (self.directory / f"{one.file}.npy").exists()]

    def pairs(self, short):
        """A tenant for every query, and the answers among that tenant's rows."""
        return self.read(f"pair_{short}"), self.read(f"gt_{short}")[:, :K]

    def answers(self, condition):
        return self.read(condition.file)[:, :K]

    def passing(self, condition):
        """For every row whether it meets the condition."""
        if condition.field == "num":
            return self.num < np.float32(condition.value)
        if condition.field == "flag":
            return self.flag.astype(bool)
        return self.category == self.category_names.index(condition.value)


class Filter:
    """A condition: `num` below a value, `flag` true, or `cat` equal to a name."""

    def __init__(self, file, field, value):
        self.file, self.field, self.value = file, field, value

    @property
    def name(self):
        return {"num": f"num<{self.value}", "flag": "flag", "cat": f"cat={self.value}"}[self.field]

    @staticmethod
    def all_of(category_names):
        fixed = [("gt_flag50", "flag", True), ("gt_num10", "num", 0.1), ("gt_num1", "num", 0.01)]
        fixed.append(("gt_num01", "num", 0.001))
        named = [(f"gt_cat_{name}", "cat", name) for name in category_names]
        return [Filter(*one) for one in fixed + named]


def normalised(rows):
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def recall(answers, truth):
    """The part of the exact answers that was found, averaged over queries; truth ends at the first -1."""
    parts = []
    for found, exact in zip(answers, truth):
        exact = {int(row) for row in exact if row != NOBODY}
        parts.append(len(exact & {int(row) for row in found}) / len(exact) if exact else 1.0)
    return float(np.mean(parts))


def nearest(base, queries, candidates, k):
    """The k rows of greatest inner product among the candidates, in double precision, filled up with -1."""
    found = np.full((len(queries), k), NOBODY, dtype=np.int32)
    rows = base[candidates].astype(np.float64)
    # A block at a time: all scores of a large set would not fit into memory.
    for start in range(0, len(queries), 50):
        scores = -(queries[start : start + 50].astype(np.float64) @ rows.T)
        order = np.argsort(scores, axis=1, kind="stable")[:, :k]
        found[start : start + 50, : order.shape[1]] = candidates[order]
    return found


def shrunk(source, rows, queries, target):
    """The first rows and queries of a set as a set of its own, with its answers computed anew."""
    wanted = [condition.file for condition in source.filters]
    arrays = {"base": source.base[:rows], "queries": source.queries[:queries], "tenants": source.tenants[:rows]}
    arrays |= {"num": source.num[:rows], "flag": source.flag[:rows], "cat": source.category[:rows]}
    return complete(target, arrays, source.category_names, wanted)


def generated(rows, queries, target):
    """A set made from nothing: rows around many centres, as embeddings of real texts lie."""
    rng, dim, centres = np.random.default_rng(384), 384, 400
    middle = rng.standard_normal((centres, dim), dtype=np.float32)
    near = rng.integers(centres, size=rows + queries)
    vectors = middle[near] + 1.6 * rng.standard_normal((rows + queries, dim), dtype=np.float32)
    arrays = {"base": normalised(vectors[:rows]), "queries": normalised(vectors[rows:])}
    return with_fields(rng, arrays, near[:rows] / centres, target)


def wide(rows, queries, dim, target):
    """A set of many components made from nothing: directions whose variance falls as a power of their place, clusters of
    unequal size, noise in every direction. Rows are kept in half precision, and the answers are those of what is kept."""
    rng, centres = np.random.default_rng(dim), 1000
    deviation = np.arange(1, dim + 1, dtype=np.float32) ** -WIDE_POWER
    middle = rng.standard_normal((centres, dim), dtype=np.float32) * deviation
    near = (centres * rng.random(rows + queries) ** 2).astype(np.int64)
    rotation, _ = np.linalg.qr(rng.standard_normal((dim, dim), dtype=np.float32))
    noise = WIDE_NOISE * np.linalg.norm(deviation) / np.sqrt(dim)
    vectors = np.empty((rows + queries, dim), dtype=np.float32)
    for start in range(0, rows + queries, 10_000):
        part = middle[near[start : start + 10_000]]
        spread = WIDE_SPREAD * np.exp(WIDE_UNEVEN * rng.standard_normal((len(part), 1), dtype=np.float32))
        part = part + spread * deviation * rng.standard_normal(part.shape, dtype=np.float32)
        part += noise * rng.standard_normal(part.shape, dtype=np.float32)
        vectors[start : start + len(part)] = normalised(part @ rotation)
    arrays = {"base.f16": vectors[:rows].astype(np.float16), "queries": vectors[rows:]}
    return with_fields(rng, arrays, near[:rows] / centres, target)


def with_fields(rng, arrays, places, target):
    """Tenants by size and fields for every row, `places` being where in [0, 1) a row's cluster is; then the answers."""
    rows, categories, tenants = len(places), 12, 100
    share = 1 / np.arange(1, tenants + 1)
    arrays["tenants"] = rng.choice(tenants, rows, p=share / share.sum()).astype(np.int32)
    arrays |= {"num": rng.random(rows, dtype=np.float32), "flag": rng.random(rows) < 0.5}
    # Categories follow the centres, so that filters by category and vectors are correlated.
    arrays["cat"] = (places**2 * categories).astype(np.int16)
    names = [f"category-{number}" for number in range(categories)]
    wanted = ["gt_flag50", "gt_num10", "gt_num1", "gt_num01", "gt_cat_category-1", f"gt_cat_{names[-1]}"]
    return complete(target, arrays, names, wanted)


def complete(target, arrays, category_names, wanted):
    """Writes the arrays and every exact answer."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.npy"):
        old.unlink()
    for name, array in arrays.items():
        np.save(target / f"{name}.npy", array)
    (target / "cats.json").write_text(json.dumps(category_names))
    done = DataSet(target)
    everything = np.arange(len(done.base))
    np.save(target / "gt100.npy", nearest(done.base, done.queries, everything, TRUTH_WIDTH))
    for condition in Filter.all_of(category_names):
        if condition.file in wanted:
            passing = np.flatnonzero(done.passing(condition))
            np.save(target / f"{condition.file}.npy", nearest(done.base, done.queries, passing, K))
    write_pairs(done)
    return DataSet(target)


def write_pairs(done):
    rng, count = np.random.default_rng(7), len(done.queries)
    drawn = {"prop": rng.choice(done.tenants, count), "uni": rng.choice(np.unique(done.tenants), count)}
    for short, tenants in drawn.items():
        answers = [
            nearest(done.base, done.queries[at : at + 1], np.flatnonzero(done.tenants == tenant), K)
            for at, tenant in enumerate(tenants)
        ]
        np.save(done.directory / f"pair_{short}.npy", tenants.astype(np.int32))
        np.save(done.directory / f"gt_{short}.npy", np.concatenate(answers))
