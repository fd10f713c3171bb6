"""Draws the lines of a run as SVG: the curves, and queries a second by tenants' mix and by filter. Must not know an engine."""

import html
import math

from measure import frontier, speed_at
from report import engines, points

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 900, 80, 180, 56, 56
CURVES, GROUPS = 460, 44
# A curve begins here: nobody runs an index at less.
RECALL_LEAST = 0.8
# Groups are compared at this recall.
RECALL_OF_GROUPS = 0.95
# Colours that people with any colour vision tell apart (Okabe and Ito, 2008) and two greys; Pinyon's is the first.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f", "#b8b8b8", "#f0e442")
STYLE = "text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.small{font-size:11px;fill:#555}"


def svg(lines, title):
    """One picture: curves above, groups below."""
    names = engines(lines)
    order = sorted(names, key=lambda name: (name != "pinyon", name))
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(order)}
    upper = curves(lines, order, colours)
    lower, height = groups(lines, order, colours)
    parts = [f'<text x="{LEFT}" y="26" class="title">{html.escape(title)}</text>', *upper]
    parts += [f'<g transform="translate(0 {CURVES})">', *lower, "</g>"]
    whole = CURVES + height
    size = f'width="{WIDTH}" height="{whole}" viewBox="0 0 {WIDTH} {whole}"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>"]
    return "\n".join([*head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>", ""])


class Logarithm:
    """Speeds along an axis: from the decade's part below the least to the one above the greatest."""

    def __init__(self, speeds, start, end):
        steps = [mantissa * 10**power for power in range(-1, 9) for mantissa in (1, 2, 5)]
        low = max((step for step in steps if step <= min(speeds)), default=steps[0])
        high = min((step for step in steps if step >= max(speeds)), default=steps[-1])
        high = high if high > low else low * 10
        self.ticks = [step for step in steps if low <= step <= high]
        self.low, self.factor, self.start = low, (end - start) / math.log(high / low), start

    def at(self, speed):
        return self.start + self.factor * math.log(speed / self.low)


def curves(lines, order, colours):
    """Queries a second by recall, a line an engine."""
    found = [line for line in lines if line["bench"] == "curve" and "qps" in line]
    shown = {name: [one for one in frontier(points(found, name)) if one[0] >= RECALL_LEAST] for name in order}
    shown = {name: places for name, places in shown.items() if places}
    if not shown:
        return []
    speeds = [speed for places in shown.values() for _, speed in places]
    right, bottom = WIDTH - RIGHT, CURVES - BOTTOM
    across = Axis(min(recall for places in shown.values() for recall, _ in places), right)
    up = Logarithm(speeds, bottom, TOP)
    parts = [*across.lines(bottom), *horizontal(up, right)]
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{bottom + 40}" text-anchor="middle">recall@10</text>')
    parts.append(upright((TOP + bottom) / 2))
    # Pinyon's line lies on top.
    for name in sorted(shown, key=lambda name: name == "pinyon"):
        places = [(across.at(recall), up.at(speed)) for recall, speed in shown[name]]
        parts += curve(places, colours[name], 3.5 if name == "pinyon" else 2)
    return [*parts, *legend(list(shown), colours, TOP)]


class Axis:
    """Recall along the lower edge."""

    def __init__(self, least, right):
        self.least, self.right = min(math.floor(least * 50 + 1e-9) / 50, 0.98), right

    def at(self, recall):
        return LEFT + (recall - self.least) / (1 - self.least) * (self.right - LEFT)

    def lines(self, bottom):
        step = 0.05 if self.least < 0.85 else 0.02
        count = int((1 - self.least) / step + 1e-9)
        for recall in (1 - step * at for at in range(count + 1)):
            x = f"{self.at(recall):.1f}"
            yield f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}" stroke="#e4e4e4"/>'
            yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{recall:.2f}</text>'


def horizontal(up, right):
    for tick in up.ticks:
        y = f"{up.at(tick):.1f}"
        yield f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e4e4e4"/>'
        yield f'<text x="{LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{number(tick)}</text>'


def upright(y):
    return f'<text transform="translate(20 {y}) rotate(-90)" text-anchor="middle">queries a second, one core</text>'


def number(value):
    """Thousands and millions by letters: long numbers would touch each other."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def curve(places, colour, wide):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{wide}"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{wide if len(places) > 1 else 5}" fill="{colour}"/>'


def legend(names, colours, top):
    x = WIDTH - RIGHT + 20
    for at, name in enumerate(names):
        y = top + 10 + 22 * at
        line = f'stroke="{colours[name]}" stroke-width="{4 if name == "pinyon" else 2.5}"'
        yield f'<line x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}" {line}/>'
        yield f'<text x="{x + 32}" y="{y + 4}">{html.escape(name)}</text>'


def groups(lines, order, colours):
    """A row for every mix of tenants and every filter, a dot for every engine that reaches the recall."""
    rows = [*group_rows(lines, "tenants", "mix", "one tenant, {}"), *group_rows(lines, "filters", "filter", "{}")]
    speeds = [speed for _, row in rows for speed in row.values()]
    if not speeds:
        return [], 0
    left, right, bottom = LEFT + 120, WIDTH - RIGHT, TOP + GROUPS * len(rows)
    along = Logarithm(speeds, left, right - 20)
    title = f"Queries a second within a tenant and under a filter, at recall@10 of {RECALL_OF_GROUPS:.2f} or better"
    parts = [f'<text x="{LEFT}" y="30" class="title">{title}</text>']
    for tick in along.ticks:
        x = f"{along.at(tick):.1f}"
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" class="small">{number(tick)}</text>')
    for at, (words, row) in enumerate(rows):
        parts += group(words, row, colours, along, TOP + GROUPS * (at + 0.5), (left, right))
    shown = [name for name in order if any(name in row for _, row in rows)]
    return [*parts, *legend(shown, colours, TOP)], bottom + BOTTOM


def group_rows(lines, bench, field, words):
    chosen = [line for line in lines if line["bench"] == bench and "qps" in line]
    for value in dict.fromkeys(line[field] for line in chosen):
        here = [line for line in chosen if line[field] == value]
        speeds = {name: speed_at(points(here, name), RECALL_OF_GROUPS) for name in engines(here)}
        yield words.format(value), {name: speed for name, speed in speeds.items() if speed}


def group(words, row, colours, along, y, edges):
    yield f'<line x1="{edges[0]}" x2="{edges[1]}" y1="{y}" y2="{y}" stroke="#d0d0d0"/>'
    yield f'<text x="{edges[0] - 10}" y="{y + 4}" text-anchor="end">{html.escape(words)}</text>'
    # Pinyon's dot lies on top.
    for name in sorted(row, key=lambda name: name == "pinyon"):
        radius = 7 if name == "pinyon" else 5
        place = f'cx="{along.at(row[name]):.1f}" cy="{y}" r="{radius}"'
        yield f'<circle {place} fill="{colours[name]}" fill-opacity="0.9"/>'
