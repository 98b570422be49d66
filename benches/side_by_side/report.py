"""Tables and a plot of a comparison, and their place in the documentation."""

import html
import statistics

import judge
from processes import ROOT

DOCUMENT, PLOT = ROOT / "docs/benchmarks.md", ROOT / "docs/images/side-by-side.svg"
BEGIN, END = "<!-- side-by-side: written by benches/side_by_side/run -->\n", "<!-- /side-by-side -->"
MIB = 2**20


def text(result):
    """Everything as Markdown."""
    figures = judge.Figures(result)
    parts = [origin(result), processes(result)]
    parts += [workload(result, figures, name) for name in result["workloads"]]
    return "\n\n".join(parts) + "\n"


def write(result):
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(plot(result), encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    start, end = document.index(BEGIN) + len(BEGIN), document.index(END)
    image = f"![CPU of the proxies for a million records](images/{PLOT.name})\n\n"
    made = f"\n{image}{verdicts(result)}\n\n{text(result)}\n"
    DOCUMENT.write_text(document[:start] + made + document[end:], encoding="utf-8")


def origin(result):
    machine, versions = result["machine"], result["versions"]
    return (
        f"Measured on {result['date']} with {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}, broker and clients on the same machine. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". Medians of {result['rounds']} rounds of {result['seconds']:g} s each; in brackets the least and the most."
    )


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def workload(result, figures, name):
    targets = [target for work, target in figures.rows if work == name]
    head = ["", "records/s", "MB/s", "beside direct", "CPU-s per million records", "CPU-s per GB", "memory, MiB"]
    head += ["cores: proxy, broker, clients"]
    reads = not figures.values("p50_ms", name, targets[0]) if targets else True
    head += [] if reads else ["p50, ms", "p99, ms", "p99.9, ms", "records in a batch"]
    rows = [workload_row(figures, name, target, reads) for target in targets]
    return f"### {name}\n\n{result['workloads'][name]}\n\n{table(head, rows)}"


def workload_row(figures, name, target, reads):
    def of(figure, form=",.2f", spread=False):
        return shown(figures.values(figure, name, target), form, spread)

    passes = not any(figures.values("cpu_of_proxy", name, target))
    cost = ["", "", ""] if passes else [
        of("cpu_per_million_records", spread=True), of("cpu_per_gigabyte"),
        shown([value / MIB for value in figures.values("resident_bytes", name, target)], ".0f"),
    ]
    row = [target, of("records_per_second", ",.0f", spread=True), of("megabytes_per_second", ",.1f"), beside(figures, name, target), *cost]
    row.append(", ".join(cores(figures, name, target, part) for part in ("proxy", "broker", "generator")))
    return row + ([] if reads else [of("p50_ms"), of("p99_ms"), of("p999_ms"), of("records_in_a_batch", ",.0f")])


def beside(figures, name, target):
    try:
        return f"{figures.ratio(judge.SPEED, name, target, judge.DIRECT):.2f}"
    except judge.Unmeasured:
        return ""


def cores(figures, name, target, part):
    rows = figures.rows[name, target]
    return f"{statistics.median(row[f'cpu_of_{part}'] / row['seconds'] for row in rows):.2f}"


def shown(values, form, spread=False):
    """The median, and how far the rounds were apart."""
    if not values:
        return ""
    middle = format(statistics.median(values), form)
    return f"{middle} ({min(values):{form}}–{max(values):{form}})" if spread and len(values) > 1 else middle


def processes(result):
    found = result["processes"]
    if not found:
        return ""
    idle = next(iter(found.values()))["idle_connections"]
    head = ["process", "start to ready, ms", "memory at rest, MiB", f"{idle:,} idle connections, MiB", "10 connections at full speed, MiB"]
    rows = []
    for name, its in found.items():
        memory = [[size / MIB for size in its[key]] for key in ("resident_at_rest", "resident_idle", "resident_busy")]
        ready = shown([seconds * 1000 for seconds in its["ready_seconds"]], ",.0f", spread=True)
        rows.append([name, ready, *(shown(values, ",.1f", spread=True) for values in memory)])
    return table(head, rows)


def verdicts(result):
    rows = []
    for what, value, bar, at_least in judge.judged(result):
        held = "" if value is None else "missed" if (value < bar if at_least else value > bar) else "held"
        rows.append([what, "" if value is None else f"{value:.3g}", f"{'≥' if at_least else '≤'} {bar:.3g}", held])
    return table(["bar", "measured", "wanted", ""], rows)


# The plot: for some workloads a group of bars, each group by a scale of its own.

SHOWN = ["avro-200", "avro-200-at-10000", "avro-1k-lz4", "json-400", "avro-200-read"]
WIDTH, LEFT, ROW, HEAD = 760, 190, 22, 40
COLOURS = {"schemaward": "#2f7d4f", "kroxylicious": "#b5543c", "haproxy": "#5b7fa6"}


def plot(result):
    title = '<text x="10" y="22" font-size="15" fill="#222222">CPU-seconds of the proxy for a million records</text>\n'
    figures, at, parts = judge.Figures(result), 36, [title]
    for name in [name for name in SHOWN if name in result["workloads"]]:
        bars = [(target, figures.median(judge.RATE, work, target)) for work, target in figures.rows if work == name]
        bars = [(target, value) for target, value in bars if value > 0]
        if bars:
            parts.append(group(f"{name}: {result['workloads'][name]}", bars, at))
            at += HEAD + ROW * len(bars) + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {at + 10}" font-family="sans-serif" font-size="13" '
        f'role="img" aria-label="CPU seconds of each proxy for a million records">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{"".join(parts)}</svg>\n'
    )


def group(title, bars, top):
    most = max(value for _, value in bars)
    lines = [f'<text x="10" y="{top + 18}" font-weight="bold" fill="#222222">{html.escape(title)}</text>\n']
    for number, (target, value) in enumerate(bars):
        y, length = top + HEAD - 12 + number * ROW, max(1, value / most * (WIDTH - LEFT - 110))
        colour = COLOURS.get(target.partition("-")[0], "#777777")
        lines.append(
            f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end" fill="#222222">{html.escape(target)}</text>'
            f'<rect x="{LEFT}" y="{y + 1}" width="{length:.1f}" height="{ROW - 6}" fill="{colour}"/>'
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}" fill="#222222">{value:.2f} s</text>\n'
        )
    return "".join(lines)
