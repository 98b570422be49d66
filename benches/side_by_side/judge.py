"""The bars: what schemaward may cost beside the others. Ratios of medians of one run, which hold on any machine."""

import statistics

ENFORCE, OFF, HAPROXY, DIRECT = "schemaward-enforce", "schemaward-off", "haproxy", "direct"
PASSING, VALIDATING = "kroxylicious", "kroxylicious-json"
# Kroxylicious 0.12.0 knows no Avro. Who runs a newer one may give it by this name, and then it counts.
VALIDATING_AVRO = "kroxylicious-avro"
RATE, SPEED, P50, P99 = "cpu_per_million_records", "records_per_second", "p50_ms", "p99_ms"
CLOSED = ["avro-200", "avro-1k", "avro-200-lz4", "avro-1k-lz4"]
STEADY, READ = "avro-200-at-10000", "avro-200-read"
MIB = 2**20


class Unmeasured(Exception):
    """A figure that a bar needs is not in this run."""


def bars(result):
    """Prints each bar and what came of it, and gives how many were missed."""
    missed = 0
    print()
    for what, value, bar, at_least in judged(result):
        if value is None:
            print(f"{'--':7}{what}: not measured")
            continue
        is_missed = value < bar if at_least else value > bar
        missed += is_missed
        print(f"{'MISSED' if is_missed else 'ok':7}{what}: {value:.3g} (at {'least' if at_least else 'most'} {bar:.3g})")
    return missed


def judged(result):
    """What is judged, its value or nothing, its bar, and whether that is the least or the most."""
    for what, compute, bar, at_least in all_bars(Figures(result)):
        try:
            yield what, compute(), bar, at_least
        except Unmeasured:
            yield what, None, bar, at_least


def all_bars(figures):
    ratio, added, process = figures.ratio, figures.added, figures.process

    def most(what, bar, compute, *arguments):
        return what, lambda: compute(*arguments), bar, False

    def least(what, bar, compute, *arguments):
        return what, lambda: compute(*arguments), bar, True

    for work in CLOSED:
        yield least(f"{work}, enforce: throughput beside HAProxy", 0.95, ratio, SPEED, work, ENFORCE, HAPROXY)
        yield most(f"{work}, enforce: CPU beside HAProxy", 2.0, ratio, RATE, work, ENFORCE, HAPROXY)
        yield most(f"{work}, enforce: CPU beside Kroxylicious passing through", 1.0, ratio, RATE, work, ENFORCE, PASSING)
        yield validating(figures, work)
        yield most(f"{work}, off: CPU beside HAProxy", 1.2, ratio, RATE, work, OFF, HAPROXY)
    yield most(f"{STEADY}, enforce: CPU beside HAProxy", 1.5, ratio, RATE, STEADY, ENFORCE, HAPROXY)
    yield most(f"{STEADY}, off: CPU beside HAProxy", 1.2, ratio, RATE, STEADY, OFF, HAPROXY)
    yield most(f"{STEADY}, enforce: p50 over direct, ms", 0.3, added, P50, STEADY, ENFORCE)
    yield most(f"{STEADY}, enforce: p99 over direct, ms", 1.0, added, P99, STEADY, ENFORCE)
    yield least(f"{READ}, enforce: throughput beside HAProxy", 0.95, ratio, SPEED, READ, ENFORCE, HAPROXY)
    yield most(f"{READ}, enforce: CPU beside HAProxy", 1.2, ratio, RATE, READ, ENFORCE, HAPROXY)
    for work in ["json-400", "json-1k"]:
        yield most(f"{work}, enforce: CPU beside Kroxylicious validating", 1 / 5, ratio, RATE, work, ENFORCE, VALIDATING)
    for work in ["avro-json-400", "protobuf-400"]:
        yield most(f"{work}, enforce: CPU beside json-400", 1.0, figures.across, RATE, work, "json-400", ENFORCE)
    yield most("enforce: memory at full speed, 10 connections, MiB", 32, process, "resident_busy", MIB)
    yield most("enforce: memory with 1,000 idle connections, MiB", 24, process, "resident_idle", MIB)
    yield most("enforce: start to ready, ms", 100, process, "ready_seconds", 1 / 1000)


def validating(figures, work):
    """Beside a Kroxylicious that validates the same; or JSON Schema where there is none that does."""
    if figures.has(work, VALIDATING_AVRO):
        compute = lambda: figures.ratio(RATE, work, ENFORCE, VALIDATING_AVRO)
        return f"{work}, enforce: CPU beside Kroxylicious validating Avro", compute, 1 / 9, False
    like = "json-1k" if "1k" in work else "json-400"
    compute = lambda: figures.median(RATE, work, ENFORCE) / figures.median(RATE, like, VALIDATING)
    return f"{work}, enforce: CPU beside Kroxylicious validating {like}", compute, 1 / 9, False


class Figures:
    """Medians of a run."""

    def __init__(self, result):
        self.result, self.rows = result, {}
        for row in result["measurements"]:
            self.rows.setdefault((row["workload"], row["target"]), []).append(row)

    def has(self, workload, target):
        return (workload, target) in self.rows

    def values(self, figure, workload, target):
        """One of each round."""
        return [row[figure] for row in self.rows.get((workload, target), []) if row.get(figure) is not None]

    def median(self, figure, workload, target):
        values = self.values(figure, workload, target)
        if not values:
            raise Unmeasured
        return statistics.median(values)

    def ratio(self, figure, workload, target, other):
        return self.median(figure, workload, target) / self.median(figure, workload, other)

    def across(self, figure, workload, other, target):
        return self.median(figure, workload, target) / self.median(figure, other, target)

    def added(self, figure, workload, target):
        return self.median(figure, workload, target) - self.median(figure, workload, DIRECT)

    def process(self, figure, unit):
        found = self.result["processes"].get(ENFORCE)
        idle_is_as_said = figure != "resident_idle" or (found and found["idle_connections"] == 1_000)
        if not found or not idle_is_as_said:
            raise Unmeasured
        return statistics.median(found[figure]) / unit
