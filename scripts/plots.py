"""Charts as SVG, for the measuring scripts beside it: readable on a light and on a dark page, by colour and
without, and with a description for those who do not see them.

Standard library only. A chart is a string; nothing in it is loaded from elsewhere.
"""

import math
from xml.sax.saxutils import escape

WIDTH = 960
LEFT = 64
RIGHT = 24
TOP = 84
FOOT = 34
TICKS_MAX = 6
LABELS_MAX = 60
DASHES = ("", "7 4", "2 4", "10 4 2 4")

STYLE = """
svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #fbfbfc; stroke: #d5dae1; }
text { fill: #4d5866; font-variant-numeric: tabular-nums; }
.title { fill: #17202b; font-size: 17px; font-weight: 600; }
.strong { fill: #17202b; }
.small { font-size: 11px; }
.grid { stroke: #e2e6ec; }
.one { stroke: #4d5866; stroke-dasharray: 5 4; }
.mark { fill: #fbfbfc; stroke: #17202b; stroke-width: 1.6; }
.limit { stroke: #17202b; stroke-width: 2; }
.a { --ink: #1f63c6; } .b { --ink: #b8560a; } .c { --ink: #00735a; } .d { --ink: #a8326f; } .e { --ink: #6a4fb3; }
.fill { fill: var(--ink); } .line { stroke: var(--ink); fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  .page { fill: #14191f; stroke: #303a46; }
  text { fill: #a7b3c1; }
  .title, .strong { fill: #eaeef3; }
  .grid { stroke: #29323d; }
  .one { stroke: #a7b3c1; }
  .mark { fill: #14191f; stroke: #eaeef3; }
  .limit { stroke: #eaeef3; }
  .a { --ink: #6ea8ff; } .b { --ink: #f0a050; } .c { --ink: #4fc9a4; } .d { --ink: #f08cbc; } .e { --ink: #b3a0f0; }
}
"""


class Axis:
    """Maps `least` to `start` and `most` to `end`; by doublings if `least` is not zero."""

    def __init__(self, most, start, end, least=0):
        self.least, self.most, self.start, self.end = least, max(most, 2 * least, 1e-9), start, end

    def at(self, value):
        share = math.log(value / self.least, self.most / self.least) if self.least else value / self.most
        return self.start + (self.end - self.start) * share

    def ticks(self):
        if self.least:
            doublings = math.floor(math.log2(self.most / self.least) + 1e-9)
            return [self.least * 2**power for power in range(doublings + 1)]
        unit = 10 ** math.floor(math.log10(self.most / TICKS_MAX))
        step = next(unit * factor for factor in (1, 2, 5, 10) if self.most / (unit * factor) <= TICKS_MAX)
        return [step * number for number in range(TICKS_MAX + 1) if step * number <= self.most * 1.0001]


def short(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(str(words))}</text>\n'


def line(kind, x1, y1, x2, y2, extra=""):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{extra}/>\n'


def bar(kind, x, y, width, height, words):
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="1.5"'
    return f'<rect class="fill {kind}" {shape}><title>{escape(words)}</title></rect>\n'


def diamond(x, y, kind="mark", words="", size=5):
    points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
    return f'<polygon class="{kind}" points="{points}"><title>{escape(words)}</title></polygon>\n'


def circle(x, y, kind, words="", size=4.2):
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}"><title>{escape(words)}</title></circle>\n'


def legend(entries):
    """A row of symbols with their meaning; a symbol is what draws it at (x, y)."""
    x, parts = 20, []
    for draw, words in entries:
        parts += [draw(x + 6, 62), text(x + 20, 66, words)]
        x += 20 + 7 * len(words) + 24
    return "".join(parts)


def swatch(kind):
    return lambda x, y: bar(kind, x - 6, y - 5, 12, 10, "")


def limit_swatch(x, y):
    return line("limit", x - 7, y, x + 7, y)


def page(height, chart):
    """The whole file. `chart` has a title, a description, a foot, a legend and a drawing."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(chart["title"])}</title>\n'
        f'<desc id="description">{escape(chart["description"])}</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="10"/>\n'
        f'{text(20, 34, chart["title"], "title")}{legend(chart["legend"])}{chart["drawing"]}'
        f'{text(20, height - 13, chart["foot"], "small")}</svg>\n'
    )


def grid_across(axis, bottom, unit):
    """Vertical lines with their values below."""
    parts = []
    for value in axis.ticks():
        x = axis.at(value)
        parts += [line("grid", x, TOP, x, bottom), text(x, bottom + 18, short(value) + unit, "", "middle")]
    return "".join(parts)


def grid_along(axis, unit):
    """Horizontal lines with their values to the left."""
    parts = []
    for value in axis.ticks():
        y = axis.at(value)
        parts += [line("grid", LEFT, y, WIDTH - RIGHT, y), text(LEFT - 8, y + 4, short(value) + unit, "", "end")]
    return "".join(parts)


def labels_below(labels, step, bottom):
    every = math.ceil(len(labels) / LABELS_MAX)
    parts = []
    for index in range(0, len(labels), every):
        place = f"translate({LEFT + step * (index + 0.5) + 4:.1f} {bottom + 12:.1f}) rotate(-60)"
        parts.append(f'<text class="small" text-anchor="end" transform="{place}">{escape(str(labels[index]))}</text>\n')
    return "".join(parts)


def workload_bars(groups, words, foot):
    """Horizontal bars. A group has a name, a detail, `bars` (values by series) and a `peer`, or none."""
    kinds, thick, left = ("a", "b"), 14, 270
    values = [value for group in groups for value in [*group["bars"], group["peer"]] if value]
    axis = Axis(max([1.0, *values]) * 1.08, left, WIDTH - RIGHT - 24)
    row = thick * len(kinds) + 22
    bottom = TOP + row * len(groups)
    parts = [grid_across(axis, bottom, "×"), line("one", axis.at(1), TOP, axis.at(1), bottom)]
    for number, group in enumerate(groups):
        y = TOP + row * number + 8
        parts.append(text(left - 12, y + 12, group["name"], "strong", "end"))
        parts.append(text(left - 12, y + 27, group["detail"], "small", "end"))
        for place, value in enumerate(group["bars"]):
            if value is None:
                continue
            name = f'{group["name"]}, {words["series"][place]}: {value:.2f}×'
            top = y + place * (thick + 2)
            parts.append(bar(kinds[place], left, top, axis.at(value) - left, thick, name))
            parts.append(text(axis.at(value) + 10, top + 11, f"{value:.2f}×", "small"))
        if group["peer"]:
            peer = f'{group["name"]}, {words["peer"]}: {group["peer"]:.2f}×'
            parts.append(diamond(axis.at(group["peer"]), y + thick + 1, "mark", peer))
    entries = [(swatch(kind), name) for kind, name in zip(kinds, words["series"])]
    entries.append((diamond, words["peer"]))
    chart = {**words, "foot": foot, "legend": entries, "drawing": "".join(parts)}
    return page(bottom + 30 + FOOT, chart)


def block_bars(blocks, words, foot):
    """Vertical bars. A block has a label, `bars` (values by series) and a `limit`, or none."""
    kinds, bottom = ("a", "b"), TOP + 290
    values = [value for block in blocks for value in [*block["bars"], block["limit"]] if value]
    axis = Axis(max([1.0, *values]) * 1.05, bottom, TOP)
    step = (WIDTH - RIGHT - LEFT) / max(len(blocks), 1)
    parts = [grid_along(axis, "×")]
    for number, block in enumerate(blocks):
        x = LEFT + step * number
        for place, value in enumerate(block["bars"]):
            name = f'block {block["label"]}, {words["series"][place]}: {value:.2f}×'
            left = x + step * (0.1 + 0.4 * place)
            parts.append(bar(kinds[place], left, axis.at(value), step * 0.38, bottom - axis.at(value), name))
        if block["limit"]:
            y = axis.at(block["limit"])
            parts.append(line("limit", x + step * 0.05, y, x + step * 0.93, y))
    parts.append(line("one", LEFT, axis.at(1), WIDTH - RIGHT, axis.at(1)))
    parts.append(labels_below([block["label"] for block in blocks], step, bottom))
    entries = [(swatch(kind), name) for kind, name in zip(kinds, words["series"])]
    if any(block["limit"] for block in blocks):
        entries.append((limit_swatch, words["limit"]))
    chart = {**words, "foot": foot, "legend": entries, "drawing": "".join(parts)}
    return page(bottom + 64 + FOOT, chart)


def block_dots(blocks, words, foot):
    """Two shares by block, as a circle and a diamond on one line. A block has a label and `shares`, or none."""
    bottom = TOP + 250
    axis = Axis(100, bottom, TOP)
    step = (WIDTH - RIGHT - LEFT) / max(len(blocks), 1)
    parts = [grid_along(axis, "%")]
    for number, block in enumerate(blocks):
        if None in block["shares"]:
            continue
        x = LEFT + step * (number + 0.5)
        first, second = (axis.at(100 * share) for share in block["shares"])
        names = [
            f'block {block["label"]}, {name}: {100 * share:.1f}%'
            for name, share in zip(words["series"], block["shares"])
        ]
        parts.append(line("grid", x, first, x, second))
        parts.append(circle(x, first, "fill a", names[0]) + diamond(x, second, "fill b", names[1]))
    parts.append(labels_below([block["label"] for block in blocks], step, bottom))
    entries = [
        (lambda x, y: circle(x, y, "fill a"), words["series"][0]),
        (lambda x, y: diamond(x, y, "fill b"), words["series"][1]),
    ]
    chart = {**words, "foot": foot, "legend": entries, "drawing": "".join(parts)}
    return page(bottom + 64 + FOOT, chart)


def scaling_lines(curves, words, foot):
    """Speed-up by workers, both by doublings. A curve has a name and `points`, pairs of workers and speed-up."""
    right, bottom = WIDTH - 220, TOP + 360
    workers = max(count for curve in curves for count, _ in curve["points"])
    across = Axis(workers, LEFT, right, least=1)
    values = [value for curve in curves for _, value in curve["points"]]
    up = Axis(max(values) * 1.05, bottom, TOP, least=1 if min(values) >= 1 else 0.5)
    parts = []
    for value in up.ticks():
        parts.append(line("grid", LEFT, up.at(value), right, up.at(value)))
        parts.append(text(LEFT - 8, up.at(value) + 4, short(value) + "×", "", "end"))
    for count in across.ticks():
        parts.append(text(across.at(count), bottom + 18, count, "", "middle"))
    parts.append(text((LEFT + right) / 2, bottom + 38, "workers", "", "middle"))
    ideal = [count for count in across.ticks() if count <= up.most]
    shape = " ".join(f"{across.at(count):.1f},{up.at(count):.1f}" for count in ideal)
    parts.append(f'<polyline class="one" fill="none" points="{shape}"/>\n')
    label_y = math.inf
    for number, curve in enumerate(sorted(curves, key=lambda curve: curve["points"][-1][1])):
        kind, dash = "abcde"[number % 5], DASHES[number // 5 % len(DASHES)]
        shape = " ".join(f"{across.at(count):.1f},{up.at(value):.1f}" for count, value in curve["points"])
        parts.append(f'<polyline class="line {kind}" stroke-dasharray="{dash}" points="{shape}"/>\n')
        for count, value in curve["points"]:
            name = f'{curve["name"]}, {count} workers: {value:.2f}×'
            parts.append(circle(across.at(count), up.at(value), f"fill {kind}", name, 3.2))
        count, value = curve["points"][-1]
        label_y = min(up.at(value), label_y - 16)
        parts.append(line(f"line {kind}", across.at(count), up.at(value), right + 14, label_y))
        parts.append(text(right + 20, label_y + 4, f'{curve["name"]} {value:.1f}×', "strong"))
    entries = [(lambda x, y: line("one", x - 7, y, x + 7, y), words["ideal"])]
    chart = {**words, "foot": foot, "legend": entries, "drawing": "".join(parts)}
    return page(bottom + 50 + FOOT, chart)


def panels_over_time(panels, words, foot):
    """Panels above each other over the same seconds. A panel has a `unit`, a name and `curves`; a curve a name and
    `points`, pairs of seconds and values."""
    high, gap, top = 150, 46, TOP + 14
    seconds = max(second for panel in panels for curve in panel["curves"] for second, _ in curve["points"])
    across = Axis(seconds, LEFT, WIDTH - RIGHT)
    names, parts = [], []
    for panel in panels:
        bottom = top + high
        up = Axis(max(value for curve in panel["curves"] for _, value in curve["points"]) * 1.08, bottom, top)
        parts += [text(LEFT, top - 8, panel["name"], "strong"), grid_along(up, panel["unit"])]
        for curve in panel["curves"]:
            if curve["name"] not in names:
                names.append(curve["name"])
            number = names.index(curve["name"])
            shape = " ".join(f"{across.at(second):.1f},{up.at(value):.1f}" for second, value in curve["points"])
            kind, dash = "abcde"[number % 5], DASHES[number % len(DASHES)]
            parts.append(f'<polyline class="line {kind}" stroke-dasharray="{dash}" points="{shape}"/>\n')
        top = bottom + gap
    for value in across.ticks():
        parts.append(text(across.at(value), top - gap + 18, short(value) + " s", "", "middle"))

    def stroke(number):
        kind, dash = "abcde"[number % 5], DASHES[number % len(DASHES)]
        return lambda x, y: line(f"line {kind}", x - 8, y, x + 8, y, f' stroke-dasharray="{dash}"')

    entries = [(stroke(number), name) for number, name in enumerate(names)]
    chart = {**words, "foot": foot, "legend": entries, "drawing": "".join(parts)}
    return page(top - gap + 30 + FOOT, chart)
