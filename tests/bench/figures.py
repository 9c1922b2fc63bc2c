# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a benchmark: the list in build/bench/NAME.json and its table."""
import json
import os
import statistics


class Figures:
    def __init__(self, expected):
        self.expected = expected    # ids that must be there for --check
        self.rows = []

    def add(self, id, figure, samples, unit, bound=None, better="lower", value=None):
        """One figure from its samples; its value is their median unless given."""
        samples = list(samples)
        median = statistics.median(samples)
        self.rows.append({
            "id": id, "figure": figure, "value": median if value is None else value,
            "unit": unit, "bound": bound, "better": better, "runs": len(samples),
            "min": min(samples), "median": median, "max": max(samples)})

    def missed(self):
        """What --check complains about, as sentences."""
        out = []
        for row in self.rows:
            if row["bound"] is None:
                continue
            sign = 1 if row["better"] == "lower" else -1
            if sign * row["value"] > sign * row["bound"]:
                out.append(f"{row['id']} {row['figure']}: {row['value']:.4g} {row['unit']}, "
                           f"bound {row['bound']:g}")
        have = {row["id"] for row in self.rows}
        return out + [f"{id} is absent" for id in self.expected if id not in have]

    def table(self):
        lines = [f"{'id':10} {'figure':58} {'value':>9} {'bound':>8} {'min':>9} {'median':>9} "
                 f"{'max':>9} {'runs':>4}  unit"]
        for r in self.rows:
            bound = "" if r["bound"] is None else ("<= " if r["better"] == "lower" else ">= ") + f"{r['bound']:g}"
            lines.append(f"{r['id']:10} {r['figure']:58} {r['value']:9.4g} {bound:>8} {r['min']:9.4g} "
                         f"{r['median']:9.4g} {r['max']:9.4g} {r['runs']:4}  {r['unit']}")
        return "\n".join(lines)

    def load(self, path):
        """What another boot has measured for the same list, if anything."""
        if os.path.exists(path):
            with open(path) as f:
                self.rows = json.load(f)

    def write(self, path):
        self.rows.sort(key=lambda r: r["id"].split("-")[0])
        with open(path, "w") as f:
            json.dump(self.rows, f, indent=1)
            f.write("\n")
