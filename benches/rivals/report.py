"""A table of Pinyon against the best peer at equal recall, with both figures beside every ratio."""

from measure import TARGETS, at_lines, speed_at

HEAD = "| measure | recall@10 | Pinyon | best peer | ratio |"
# Below this, time on the clock says more about the machine's other work than about an engine.
SHARE_ENOUGH = 0.9
RULE = "|---|---|---|---|---|"


def table(lines, suffix=""):
    """The table of time on the clock, or with the suffix `_cpu` of time that the process had its core."""
    lines = [renamed(line, suffix) for line in lines] if suffix else lines
    rows = [*build_rows(lines), *whole_rows(lines)]
    rows += group_rows(lines, "tenants", "mix", "one tenant, drawn {}")
    rows += group_rows(lines, "filters", "filter", "filter {}")
    return "\n".join([HEAD, RULE, *rows, "", *notes(lines)])


def renamed(line, suffix):
    """The line with the figures of that suffix in place of the plain ones; without them it does not count."""
    line = {key: value for key, value in line.items() if key not in ("qps", "qps_batch", "vectors_per_s")}
    return line | {key.removesuffix(suffix): value for key, value in line.items() if key.endswith(suffix)}


def row(measure, recall, values):
    """One row from every engine's value; a value that is None was not reached."""
    values = {engine: value for engine, value in values.items() if value is not None}
    pinyon = values.pop("pinyon", None)
    peer = max(values, key=values.get, default=None)
    ratio = f"{pinyon / values[peer]:.2f}" if pinyon and peer else "–"
    best = f"{values[peer]:,.0f} ({peer})" if peer else "–"
    own = f"{pinyon:,.0f}" if pinyon else "–"
    return f"| {measure} | {recall} | {own} | {best} | {ratio} |"


def engines(lines):
    return sorted({line["engine"] for line in lines if "engine" in line})


def build_rows(lines):
    builds = [line for line in lines if line["bench"] == "build"]
    speeds = {line["engine"]: line.get("vectors_per_s") for line in builds}
    return [row("build, vectors/s", "–", speeds)] if speeds else []


def whole_rows(lines):
    """The curves. Peers pay for a call from Python; the second set of rows has them without that cost."""
    curves = {name: [line for line in lines if is_curve(line, name)] for name in engines(lines)}
    speeds = {name: at_lines(name, curve) for name, curve in curves.items()}
    rows = []
    for at, target in enumerate(TARGETS):
        single = {name: made[at]["qps"] for name, made in speeds.items()}
        rows.append(row("all rows, QPS", target, single))
    for at, target in enumerate(TARGETS):
        batch = {name: made[at]["qps_batch"] for name, made in speeds.items()}
        rows.append(row("all rows, QPS, peers' queries in one call", target, batch | pinyon_alone(speeds, at)))
    return rows if any(curves.values()) else []


def pinyon_alone(speeds, at):
    return {"pinyon": speeds["pinyon"][at]["qps"]} if "pinyon" in speeds else {}


def is_curve(line, engine):
    return line["bench"] == "curve" and line["engine"] == engine


def group_rows(lines, bench, field, words):
    """Rows of one bench: for each value of a field, every recall that everybody is compared at."""
    chosen = [line for line in lines if line["bench"] == bench]
    rows = []
    for value in dict.fromkeys(line[field] for line in chosen):
        here = [line for line in chosen if line[field] == value]
        for target in TARGETS:
            speeds = {name: speed_at(points(here, name), target) for name in engines(here)}
            rows.append(row(words.format(value) + ", QPS", target, speeds))
    return rows


def points(lines, engine):
    return [(line["recall"], line["qps"]) for line in lines if line["engine"] == engine and "qps" in line]


def notes(lines):
    """What is missing, and how far the figures can be trusted."""
    missing = [line for line in lines if line["bench"] in ("skipped", "failed")]
    said = [f"{line['bench']}: {line.get('command', line['engine'])}: {line['reason']}" for line in missing]
    shares = [line["cpu_share"] for line in lines if "cpu_share" in line]
    loads = [line["loadavg"] for line in lines if "loadavg" in line]
    if shares and loads:
        said.append(f"load average {min(loads)} to {max(loads)}; least share of a core {min(shares)}")
        if min(shares) < SHARE_ENOUGH:
            said.append("others used the core as well: --cpu compares by the time that each had it")
    return said
