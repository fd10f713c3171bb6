"""How speed and recall are measured and compared. Must not know which engine is measured."""

import math
import statistics
import time

import numpy as np

from sets import K, recall

TARGETS = (0.90, 0.95, 0.99)
# A curve ends here: nothing is compared at a higher recall.
RECALL_ENOUGH = 0.995
# A pass ends here: a slow filter would otherwise take minutes.
PASS_LIMIT_S = 8.0


def one_pass(search, arguments):
    """Calls `search` once for each; answers, seconds of each call, seconds of the whole."""
    answers, took = [], []
    began = time.perf_counter()
    for one in arguments:
        before = time.perf_counter()
        answers.append(search(*one))
        took.append(time.perf_counter() - before)
        if before - began > PASS_LIMIT_S:
            break
    return answers, took, time.perf_counter() - began


def point(search, arguments, truth, passes):
    """Recall of one pass, which also warms up, then the median speed of several."""
    answers, _, _ = one_pass(search, arguments)
    took, wall, cpu = [], [], []
    for _ in range(passes):
        before = time.process_time()
        _, calls, seconds = one_pass(search, arguments)
        took += calls
        wall.append(seconds / len(calls))
        cpu.append((time.process_time() - before) / len(calls))
    p50, p99 = np.percentile(took, [50, 99]) * 1e6
    return {
        "recall": round(recall(answers, truth), 4),
        "qps": round(1 / statistics.median(wall), 1),
        "qps_cpu": round(1 / statistics.median(cpu), 1),
        "p50_us": round(float(p50), 1),
        "p99_us": round(float(p99), 1),
        "queries": len(answers),
        "passes": passes,
        "cpu_share": round(sum(cpu) / sum(wall), 3),
    }


def batch(search_all, queries, passes):
    """Queries a second when all of them are handed over in one call: without the cost of a call from Python."""
    wall, cpu = [], []
    for _ in range(passes):
        before, began = time.process_time(), time.perf_counter()
        search_all(queries, K)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - before)
    speeds = [round(len(queries) / statistics.median(seconds), 1) for seconds in (wall, cpu)]
    return dict(zip(("qps_batch", "qps_batch_cpu"), speeds))


def build_line(engine, rows, build):
    """Times `build` and says how fast it was."""
    before, began = time.process_time(), time.perf_counter()
    build()
    wall, cpu = time.perf_counter() - began, time.process_time() - before
    line = {"bench": "build", "engine": engine, "seconds": round(wall, 2)}
    line |= {"vectors_per_s": round(rows / wall, 1), "vectors_per_s_cpu": round(rows / cpu, 1)}
    return line | {"cpu_share": round(cpu / wall, 3)}


def frontier(points):
    """(recall, speed) pairs that no other pair beats in both, by rising recall."""
    best, kept = 0.0, []
    for found, speed in sorted(points, reverse=True):
        if speed > best:
            best = speed
            kept.append((found, speed))
    return kept[::-1]


def speed_at(points, target):
    """Speed at a recall: between two points along the logarithm of the speed; None if no point reaches it.

    Where every point is better than the target, the fastest of them counts: what it would be at the target is not known.
    """
    kept = frontier(points)
    above = next((at for at, (found, _) in enumerate(kept) if found >= target), None)
    if above is None:
        return None
    if above == 0:
        return kept[0][1]
    (low, fast), (high, slow) = kept[above - 1], kept[above]
    part = (target - low) / (high - low)
    return math.exp(math.log(fast) + part * (math.log(slow) - math.log(fast)))


def at_lines(engine, lines):
    """The speeds at the recalls that everybody is compared at, from the lines of one curve."""
    made = []
    for target in TARGETS:
        line = {"bench": "at", "engine": engine, "recall": target}
        for field in ("qps", "qps_cpu", "qps_batch", "qps_batch_cpu"):
            points = [(one["recall"], one[field]) for one in lines if field in one]
            speed = speed_at(points, target)
            line[field] = speed and round(speed, 1)
        made.append(line)
    return made
