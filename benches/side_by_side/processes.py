"""What a process and its children take of the machine, and what the machine is."""

import importlib.machinery
import importlib.util
import os
import pathlib
import platform
import resource
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def load_bars():
    """What scripts/bars knows of ports and processes."""
    loader = importlib.machinery.SourceFileLoader("bars", str(ROOT / "scripts/bars"))
    sys.dont_write_bytecode = True
    bars = importlib.util.module_from_spec(importlib.util.spec_from_loader("bars", loader))
    loader.exec_module(bars)
    return bars


bars = load_bars()


def tree(pid):
    """The process and all that descend from it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def stat(pid):
    """The fields of its stat from the state on, or nothing if it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return []


def cpu_seconds(pids):
    """What they have used so far, in user and kernel mode, threads that have ended included."""
    return sum(cpu_seconds_of(pid) for pid in pids)


def cpu_seconds_of(pid):
    try:
        # The clock of another process, which counts nanoseconds; clock_getcpuclockid(3) makes the same number.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = stat(pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def resident_bytes(pids):
    return sum(status_bytes(pid, "VmRSS:") for pid in pids)


def status_bytes(pid, name):
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


class Watch:
    """Measures processes while something happens: CPU from beginning to end, and the most resident memory seen."""

    def __init__(self, pid):
        self.pids = tree(pid) if pid else []
        self.cpu_seconds = self.most_resident_bytes = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.done.wait(0.1):
            self.most_resident_bytes = max(self.most_resident_bytes, resident_bytes(self.pids))

    def __enter__(self):
        self.cpu_seconds = -cpu_seconds(self.pids)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.cpu_seconds += cpu_seconds(self.pids)
        self.done.set()
        self.thread.join()
        self.most_resident_bytes = max(self.most_resident_bytes, resident_bytes(self.pids))


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
    }


def raise_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
