"""Units of what decides a figure: `target/rivals-venv/bin/python -m unittest discover benches/rivals`"""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

import measure
import numpy as np
import ours
import plot
import report
import sets
import wide


class Speeds(unittest.TestCase):
    def test_between_two_points_the_logarithm_of_the_speed_is_a_line(self):
        self.assertAlmostEqual(measure.speed_at([(0.90, 1000.0), (1.0, 10.0)], 0.95), 100.0)

    def test_a_recall_that_is_not_reached_has_no_speed(self):
        self.assertIsNone(measure.speed_at([(0.90, 1000.0)], 0.95))

    def test_better_than_the_target_everywhere_counts_the_fastest(self):
        self.assertEqual(measure.speed_at([(0.97, 50.0), (0.99, 70.0)], 0.95), 70.0)

    def test_points_that_are_beaten_in_both_do_not_count(self):
        points = [(0.90, 100.0), (0.92, 5.0), (0.95, 50.0)]
        self.assertEqual(measure.frontier(points), [(0.90, 100.0), (0.95, 50.0)])

    def test_a_point_has_recall_and_the_number_of_queries(self):
        point = measure.point(lambda query: [query, 9], [(1,), (2,)], [[1, 9], [3, -1]], passes=3)
        self.assertEqual((point["recall"], point["queries"], point["passes"]), (0.5, 2, 3))


class Pictures(unittest.TestCase):
    def test_every_engine_has_a_line_and_a_dot_and_names_are_escaped(self):
        pairs = [(name, at) for name in ("pinyon", "<peer>") for at in (0.9, 0.99)]
        lines = [{"bench": "curve", "engine": name, "recall": at, "qps": 9 / at} for name, at in pairs]
        lines += [{"bench": "filters", "engine": "pinyon", "filter": "num<0.1", "recall": 0.99, "qps": 30.0}]
        root = ElementTree.fromstring(plot.svg(lines, "a & b"))
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(len(root.findall(f".//{space}polyline")), 2)
        words = {text.text for text in root.iter(f"{space}text")}
        self.assertTrue({"a & b", "<peer>", "num<0.1", "0.90"} <= words, words)

    def test_an_engine_that_misses_the_recall_has_no_dot(self):
        lines = [{"bench": "tenants", "engine": "x", "mix": "uniform", "recall": 0.5, "qps": 9.0}]
        self.assertEqual(list(plot.group_rows(lines, "tenants", "mix", "{}")), [("uniform", {})])

    def test_an_axis_runs_between_round_numbers_around_all_speeds(self):
        up = plot.Logarithm([130.0, 4000.0], 0, 100)
        self.assertEqual(up.ticks, [100, 200, 500, 1000, 2000, 5000])
        self.assertEqual((up.at(100), round(up.at(5000), 6)), (0, 100))


class Sets(unittest.TestCase):
    def test_a_wide_set_is_kept_in_half_precision_and_its_answers_are_of_what_is_kept(self):
        with tempfile.TemporaryDirectory() as place:
            made = sets.wide(300, 4, 96, Path(place))
            self.assertEqual((made.read("base.f16").dtype, made.base.shape), (np.float16, (300, 96)))
            order = np.argsort(-(made.queries.astype(np.float64) @ made.base.T.astype(np.float64)), axis=1, kind="stable")
            np.testing.assert_array_equal(made.truth, order[:, :10])
            self.assertGreater(wide.local_dimension(made), 1)

    def test_a_smaller_set_has_exact_answers_of_its_own(self):
        with tempfile.TemporaryDirectory() as place:
            whole = sets.generated(400, 6, Path(place) / "whole")
            part = sets.shrunk(whole, 150, 4, Path(place) / "part")
            order = np.argsort(-(part.queries @ part.base.T), axis=1, kind="stable")[:, :10]
            self.assertEqual((len(part.base), part.truth.tolist()), (150, order.tolist()))
            for short in ("prop", "uni"):
                for tenant, rows in zip(*part.pairs(short)):
                    self.assertTrue(all(part.tenants[row] == tenant for row in rows if row >= 0))
            for condition in part.filters:
                rows = np.unique(part.answers(condition))
                self.assertTrue(part.passing(condition)[rows[rows >= 0]].all())
            self.assertEqual(len(part.filters), 6)

    def test_recall_ends_at_the_first_gap(self):
        self.assertEqual(sets.recall([[1, 2], []], np.array([[2, -1], [-1, -1]])), 1.0)


def ended(code, out="", err=""):
    return lambda words, is_measured: subprocess.CompletedProcess(words, code, out, err)


class Ours(unittest.TestCase):
    line = {"bench": "curve", "ef": 10, "recall": 0.9, "qps": 5.0}

    def test_lines_are_taken_from_among_others(self):
        out = f"running\n[1]\n{json.dumps(self.line)}\n" + '{"bench": "curve"}\n'
        self.assertEqual(ours.lines(["x"], ended(0, out)), [{"engine": "pinyon"} | self.line])

    def test_a_command_that_fails_says_why(self):
        (line,) = ours.lines(["x", "y"], ended(101, err="warning: w\nerror: no bench\n\nhelp"))
        self.assertEqual((line["bench"], line["command"], line["reason"]), ("failed", "x y", "error: no bench"))

    def test_a_command_that_is_silent_failed(self):
        (line,) = ours.lines(["x"], ended(0))
        self.assertEqual(line["bench"], "failed")


class Report(unittest.TestCase):
    def test_both_figures_stand_beside_the_ratio(self):
        lines = [
            {"bench": "curve", "engine": "pinyon", "ef": 1, "recall": 0.96, "qps": 3000.0},
            {"bench": "curve", "engine": "slow", "ef": 1, "recall": 0.96, "qps": 100.0, "qps_batch": 150.0},
            {"bench": "curve", "engine": "fast", "ef": 1, "recall": 0.96, "qps": 2000.0},
            {"bench": "tenants", "engine": "fast", "mix": "uniform", "ef": 1, "recall": 1.0, "qps": 7.0},
            {"bench": "failed", "engine": "pinyon", "command": "c", "reason": "r"},
        ]
        table = report.table(lines).splitlines()
        self.assertIn("| all rows, QPS | 0.95 | 3,000 | 2,000 (fast) | 1.50 |", table)
        self.assertIn("| all rows, QPS, peers' queries in one call | 0.95 | 3,000 | 150 (slow) | 20.00 |", table)
        self.assertIn("| all rows, QPS | 0.99 | – | – | – |", table)
        self.assertIn("| one tenant, drawn uniform, QPS | 0.99 | – | 7 (fast) | – |", table)
        self.assertIn("failed: c: r", table)

    def test_by_cpu_time_lines_without_it_do_not_count(self):
        lines = [
            {"bench": "curve", "engine": "pinyon", "ef": 1, "recall": 1.0, "qps": 30.0},
            {"bench": "curve", "engine": "peer", "ef": 1, "recall": 1.0, "qps": 1.0, "qps_cpu": 2.0},
        ]
        self.assertIn("| all rows, QPS | 0.99 | – | 2 (peer) | – |", report.table(lines, "_cpu").splitlines())


if __name__ == "__main__":
    unittest.main()
