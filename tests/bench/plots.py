#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plots - draws the curves of build/bench.json as docs/bench/*.svg, with gnuplot.

A picture whose curves are not there stays as it is.
"""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TO = os.path.join(ROOT, "docs", "bench")

# file: (what x is, panels); a panel: (title, scale of y, {curve: name in the key}, line at this height with its name)
PICTURES = {
    "points": ("points, each once a second", (
        ("memory, MiB", 1 / 1024, {"points: anonymous": "anonymous", "points: resident": "resident"}, None),
        ("processor, % of a core", 1, {"points: percent": "measured"}, None),
        ("processor, s for a million readings", 1, {"points: per_million": "measured"}, None))),
    "backlog": ("readings that wait", (
        ("start, s until READY", 1, {"backlog: start": "measured"}, (1, "promised")),
        ("anonymous memory, MiB", 1 / 1024, {"backlog: anonymous": "measured"}, (6, "promised")))),
    "uplinks": ("uplinks with TLS", (
        ("memory, MiB", 1 / 1024, {"uplinks: anonymous": "anonymous", "uplinks: resident": "resident"}, None),
        ("processor, % of a core", 1, {"uplinks: percent": "measured"}, None))),
    **{name: (of_x, (
        ("appended, million readings/s", 1e-6, {axis + ": append": "measured"}, None),
        ("drained, million readings/s", 1e-6, {axis + ": drain": "all uplinks together"}, None),
        ("live readings, s until the subscriber", 1e-3, {axis + ": p50": "median", axis + ": p99": "99 of 100"},
         (5, "promised"))))
       for name, axis, of_x in (("points-rates", "points", "points, each once a second"),
                                ("backlog-rates", "readings wait", "readings that wait"),
                                ("uplinks-rates", "uplinks", "uplinks"))},
    "lines": ("baud", (
        ("of the perfect master's, healthy", 1, {"line: healthy, %d devices" % n: "%d device%s" % (n, "s" if n > 1 else "")
                                                 for n in (1, 8, 32)}, None),
        ("with dead units, and with noise", 1, {"line: dead, 8 devices": "1 of 8 dead", "line: dead, 32 devices": "4 of 32 dead",
                                                "line: noisy, 8 devices": "8, noise", "line: noisy, 32 devices": "32, noise"},
         None))),
}
COLOURS = ("#1b6ca8", "#c8553d", "#588b4c", "#8a6bb8")
WIDTH, HEIGHT = 320, 280  # of a panel
BOTTOM = {"lines": 0.8}  # where the scale of a picture begins; 0 for the others


def block(name, points, scale):
    """A curve as gnuplot reads it: x, median, least, greatest."""
    rows = "\n".join("%g %g %g %g" % (x, y * scale, low * scale, high * scale) for x, y, low, high in sorted(points))
    return "%s << EOD\n%s\nEOD\n" % (name, rows)


def panel(number, of_x, spec, curves, bottom):
    title, scale, names, limit = spec
    data, plots, own = "", [], {c: name for c, name in names.items() if c in curves}
    for i, (curve, name) in enumerate(own.items()):
        variable = "$d%d_%d" % (number, i)
        data += block(variable, curves[curve], scale)
        plots += ["%s using 1:2:3:4 with yerrorbars linecolor rgb '%s' pointtype 7 pointsize 0.4 notitle" % (variable, COLOURS[i]),
                  "%s using 1:2 with lines linewidth 2 linecolor rgb '%s' title '%s'" % (variable, COLOURS[i], name)]
    if limit:
        plots.append("%g with lines dashtype 2 linecolor rgb '#777777' title '%s'" % limit)
    height = max(high * scale for curve in own for *_, high in curves[curve])
    top = bottom + (max(height, limit[0] if limit else 0) - bottom) * 1.3
    xs = [point[0] for curve in own for point in curves[curve]]
    return data + 'set title "%s"\nset xlabel "%s"\nset xrange [%g:%g]\nset yrange [%g:%g]\nplot %s\n' % (
        title, of_x, min(xs) / 1.5, max(xs) * 1.5, bottom, top, ", ".join(plots))


def draw(name, of_x, panels, curves):
    ticks = "set xtics (%s)" % ", ".join("'%d' %d" % (b, b) for b in (1200, 9600, 19200, 115200)) if name == "lines" else \
        "set format x '10^{%L}'" if name.startswith("backlog") else "set format x '%.0f'"
    script = ("set terminal svg size %d,%d font 'sans-serif,11' background rgb 'white'\nset output '%s'\n"
              "set multiplot layout 1,%d\nset logscale x\nset grid ytics linecolor rgb '#dddddd'\nset border 3\n"
              "set tics nomirror\nset key top left\n%s\n" % (WIDTH * len(panels), HEIGHT, os.path.join(TO, name + ".svg"),
                                                             len(panels), ticks))
    if name == "lines":
        script += "set key bottom left\nset logscale x 2\n"
    script += "".join(panel(i, of_x, spec, curves, BOTTOM.get(name, 0)) for i, spec in enumerate(panels))
    subprocess.run(["gnuplot"], input=script + "unset multiplot\n", check=True, text=True)


def main():
    try:
        with open(os.path.join(ROOT, "build", "bench.json"), encoding="utf-8") as file:
            curves = {name: curve["points"] for name, curve in json.load(file)["curves"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print("build/bench.json has no curves that can be drawn (%s); run make bench first" % error, file=sys.stderr)
        return 1
    os.makedirs(TO, exist_ok=True)
    for name, (of_x, panels) in PICTURES.items():
        if all(any(curve in curves for curve in spec[2]) for spec in panels):
            draw(name, of_x, panels, curves)
            print("docs/bench/%s.svg" % name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
