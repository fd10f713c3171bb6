"""Measures peers and Pinyon on the same rows in the same run, one thread each, and prints JSON lines.

usage: python3 benches/rivals/rivals.py [--only NAME]... [--rows N] [--quick] [--out FILE]
           [--report] [--cpu] [--svg FILE] [--from FILE...]

`PINYON_BENCH_DATA` names the data set; without it a small one is made. Packages (requirements.txt) are installed below
`target/`. Standard output has one JSON object a line; its field `bench` says what else it has:

run       once, first: command, commit, machine, versions, data, data_hash, rows, dim, queries, passes, core
build     engine, seconds, vectors_per_s, vectors_per_s_cpu, cpu_share: rows to a searchable index
curve     engine, ef, recall, qps; peers also qps_cpu, p50_us, p99_us, queries, passes, cpu_share; libraries qps_batch,
          qps_batch_cpu
at        engine, recall, qps, qps_cpu, qps_batch, qps_batch_cpu: read off the curve at recall 0.90, 0.95, 0.99; null
          where it is not reached
tenants   engine, mix (proportional or uniform), ef, recall, qps and so on
filters   engine, filter (num<0.1, flag, cat=NAME ...), ef, recall, qps and so on; peers also selectivity
skipped   engine, reason: a peer that could not be installed or measured
failed    engine, command, reason: a bench of Pinyon that could not be run

recall is recall@10 against exact answers. qps is the median over passes, one call a query; qps_batch hands all queries
over in one call, so that Python's cost of a call is left out. cpu_share is the part of the time in which the process had
its core; figures with _cpu count that part only, which is what to compare where other work shares the core (caches and
memory are shared all the same). Every line has commit and loadavg (of the last minute).

Pinyon is measured by the benches that `ours.py` lists. They print lines of the kinds build, curve, tenants and filters with
at least the fields that are named first, and read PINYON_BENCH_DATA and PINYON_BENCH_PASSES.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PYTHON = TARGET / "rivals-venv" / "bin" / "python"

Settings = namedtuple("Settings", ["passes", "effort_step"])
FULL, QUICK = Settings(passes=5, effort_step=1), Settings(passes=2, effort_step=2)
QUICK_ROWS, QUICK_QUERIES = 10_000, 200
MADE_ROWS, MADE_QUERIES = 20_000, 500


def main():
    options = parse()
    enter_environment()
    if options.worker:
        return work(options)
    lines = [line for path in options.files for line in read_lines(path)] or measured(options)
    if options.report or options.cpu:
        import report

        print(report.table(lines, "_cpu" if options.cpu else ""))
    if options.svg:
        draw(options, lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a peer, or pinyon")
    parser.add_argument("--rows", type=int, help="only the first rows; exact answers are computed anew")
    parser.add_argument("--quick", action="store_true", help="few rows, few queries, few passes: does it run at all")
    parser.add_argument("--core", type=int, help="the core to measure on; the last one by default")
    parser.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="for each peer and each bench")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append the lines to a file as well")
    parser.add_argument("--report", action="store_true", help="a table of ratios at the end")
    parser.add_argument("--cpu", action="store_true", help="the table by CPU time, for a machine that does other work")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="curves as a picture; with --cpu by CPU time")
    parser.add_argument("--from", dest="files", nargs="+", type=Path, default=[], metavar="FILE", help="report these only")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def draw(options, lines):
    """The picture says what it shows: the data and the commit, as the run's first line has them."""
    import plot
    import report

    runs = [line for line in lines if line["bench"] == "run"]
    title = "; ".join("{data}: {rows:,} rows of {dim}, commit {commit}".format(**run) for run in runs)
    lines = [report.renamed(line, "_cpu") for line in lines] if options.cpu else lines
    options.svg.write_text(plot.svg(lines, title))


def enter_environment():
    """Goes on in the virtual environment, which is made and filled if need be."""
    if Path(sys.prefix) != PYTHON.parents[1]:
        if not PYTHON.exists():
            subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
        install()
        os.execv(PYTHON, [str(PYTHON), str(Path(sys.argv[0]).resolve()), *sys.argv[1:]])


def install():
    """Every package on its own, so that one that cannot be had leaves the others."""
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
    frozen = subprocess.run([*pip, "freeze"], capture_output=True, text=True).stdout.splitlines()
    for wanted in (HERE / "requirements.txt").read_text().split():
        if wanted not in frozen:
            print(f"installing {wanted}", file=sys.stderr)
            subprocess.run([*pip, "install", "--quiet", wanted], stdout=sys.stderr)


def kinds():
    """Every peer by name, with the module that measures it."""
    import engines
    import indexes

    return {kind.name: (kind, module) for module in (indexes, engines) for kind in module.ALL}


def work(options):
    """In a process of its own: one peer, so that its memory, threads and crashes are its own."""
    import sets

    kind, module = kinds()[options.worker]
    data = sets.DataSet(os.environ["PINYON_BENCH_DATA"])
    for line in module.lines(kind, data, QUICK if options.quick else FULL):
        print(json.dumps(line), flush=True)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def measured(options):
    import machine

    unknown = set(options.only) - {*kinds(), "pinyon"}
    if unknown:
        sys.exit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join([*kinds(), 'pinyon'])}")
    if options.core is None:
        options.core = machine.last_core()
    run = Run(options, data_directory(options))
    run.emit(run.first_line())
    for name in [name for name in kinds() if not options.only or name in options.only]:
        run.peer(name)
    if not options.only or "pinyon" in options.only:
        run.pinyon()
    return run.lines


def data_directory(options):
    """The directory to measure on: the named one, a smaller copy of it, or a made one."""
    import sets

    named = os.environ.get("PINYON_BENCH_DATA")
    quick = (QUICK_ROWS, QUICK_QUERIES) if options.quick else (None, None)
    rows, queries = options.rows or quick[0], quick[1]
    if not named:
        rows, queries = rows or MADE_ROWS, queries or MADE_QUERIES
        return sets.generated(rows, queries, TARGET / "rivals-data" / f"generated-{rows}").directory
    source = sets.DataSet(Path(named).resolve())
    rows, queries = rows or len(source.base), queries or len(source.queries)
    if rows >= len(source.base) and queries >= len(source.queries):
        return source.directory
    return sets.shrunk(source, rows, queries, TARGET / "rivals-data" / f"{source.directory.name}-{rows}").directory


class Run:
    """Starts what is measured, one after the other, and collects the lines."""

    def __init__(self, options, directory):
        import machine

        self.options, self.directory, self.machine, self.lines = options, directory, machine, []
        self.commit = machine.commit(ROOT)
        self.settings = QUICK if options.quick else FULL

    def emit(self, line):
        line |= {"commit": self.commit, "loadavg": self.machine.loadavg()}
        self.lines.append(line)
        text = json.dumps(line, ensure_ascii=False)
        print(text, flush=True)
        if self.options.out:
            with open(self.options.out, "a") as file:
                file.write(text + "\n")

    def first_line(self):
        import sets

        data = sets.DataSet(self.directory)
        packages = sorted({kind.package for kind, _ in kinds().values()} | {"numpy"})
        return {
            "bench": "run",
            "command": " ".join(["rivals.py", *sys.argv[1:]]),
            "machine": self.machine.describe(),
            "versions": {package: self.machine.version(package) for package in packages},
            "data": self.directory.name,
            "data_hash": self.machine.fingerprint(self.directory),
            "rows": len(data.base),
            "dim": data.base.shape[1],
            "queries": len(data.queries),
            "passes": self.settings.passes,
            "core": self.options.core,
        }

    def environment(self):
        more = {"PINYON_BENCH_DATA": str(self.directory), "PINYON_BENCH_PASSES": str(self.settings.passes)}
        return self.machine.environment(**more)

    def peer(self, name):
        kind, _ = kinds()[name]
        if self.machine.version(kind.package) is None:
            return self.skip(name, f"{kind.package} is not installed")
        command = [sys.executable, str(HERE / "rivals.py"), "--worker", name]
        command += ["--quick"] if self.options.quick else []
        self.follow(name, command)

    def follow(self, name, command):
        """Passes a worker's lines on as they come."""
        # Some peers print what they do: only lines that are JSON count, and errors go where no full pipe stops the worker.
        with tempfile.TemporaryFile("w+") as errors:
            worker = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self.environment(),
                preexec_fn=lambda: self.machine.pin(self.options.core),
            )
            clock = threading.Timer(self.options.limit, worker.kill)
            clock.start()
            for text in worker.stdout:
                if text.startswith("{"):
                    self.emit(json.loads(text))
            ended = worker.wait()
            is_late = not clock.is_alive()
            clock.cancel()
            errors.seek(0)
            words = errors.read().strip().splitlines()
        if ended:
            late = f"it was ended after {self.options.limit:.0f} s"
            self.skip(name, late if is_late else words[-1] if words else f"it ended with {ended}")

    def skip(self, name, reason):
        self.emit({"bench": "skipped", "engine": name, "reason": reason})

    def pinyon(self):
        import ours

        for command in ours.COMMANDS:
            for line in ours.lines(command, self.run_command):
                self.emit(line)

    def run_command(self, words, is_measured):
        return subprocess.run(
            words,
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=self.options.limit,
            preexec_fn=(lambda: self.machine.pin(self.options.core)) if is_measured else None,
        )


if __name__ == "__main__":
    main()
