"""Measures: what passes through each target and what that costs it, what it takes at rest, and how soon it is ready."""

import contextlib
import resource
import socket
import statistics
import struct
import sys
import time

import processes as of_process
import workloads
from processes import Watch
from targets import Other

BUSY = workloads.BY_NAME["avro-200"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def trials(scene, chosen):
    """Each target that judges must refuse a broken order, each other one must let it pass: or its figures mean nothing."""
    outcomes = []
    for form in sorted({workload.format for workload in chosen}):
        for target in takers(scene, form):
            outcome = scene.generate("try", "--bootstrap", target.bootstrap, "--topic", workloads.ORDERS, "--format", form,
                                     "--schema-id", str(workloads.SCHEMA_IDS[form]))
            refuses = outcome["broken"] != "stored"
            # What a proxy does that somebody else has set up is theirs to know.
            expected = refuses if isinstance(target, Other) else form in target.judges
            if outcome["good"] != "stored" or refuses != expected:
                sys.exit(f"{target.name} with {form}: {outcome}{scene.last_words()}")
            outcomes.append({"target": target.name, "format": form, "refuses": refuses})
    return outcomes


def takers(scene, form):
    return [target for target in scene.targets if form in target.takes]


# Traffic


def traffic(scene, chosen, arguments):
    """Every target once in each round, each round beginning with another one."""
    count = sum(len(takers(scene, workload.format)) for workload in chosen)
    seconds = count * (arguments.warm_up + arguments.rounds * (arguments.seconds + 1))
    say(f"{len(chosen)} workloads, {arguments.rounds} rounds: about {seconds / 60:.0f} minutes")
    if any(workload.consume for workload in chosen):
        fill(scene)
    if arguments.warm_up:
        # The broker is a JVM, too.
        scene.generate(*BUSY.arguments(scene.kafka.bootstrap, 2 * arguments.warm_up))
    rows = []
    for workload in chosen:
        say(f"{workload.name}: {workload.describe()}")
        able = takers(scene, workload.format)
        for target in able:
            # A JVM needs it, and so that all are alike everyone has it.
            if arguments.warm_up:
                scene.generate(*workload.arguments(target.bootstrap, arguments.warm_up))
        for number in range(arguments.rounds):
            first = number % len(able)
            for target in able[first:] + able[:first]:
                row = {"workload": workload.name, "target": target.name, "round": number}
                row |= one(scene, target, workload, arguments.seconds)
                say("  {target:22}{records_per_second:10,.0f} records/s  {cpu_of_proxy:6.2f} s of CPU".format(**row))
                rows.append(row)
    return rows


def one(scene, target, workload, seconds):
    """What the load generator says, and what the processes took meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Watch(target.pid) as proxy, Watch(scene.kafka.pid) as broker:
        said = scene.generate(*workload.arguments(target.bootstrap, seconds))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    records, cpu = said["all_records"], proxy.cpu_seconds
    size = said["bytes"] / said["records"] * records
    return said | {
        "cpu_of_proxy": cpu,
        "cpu_per_million_records": cpu / records * 1e6,
        "cpu_per_gigabyte": cpu / size * 1e9,
        "resident_bytes": proxy.most_resident_bytes,
        # Whose limit a ceiling was.
        "cpu_of_broker": broker.cpu_seconds,
        "cpu_of_generator": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def fill(scene):
    """What is there to be read: 1,000,000 records, in every partition as many."""
    load = workloads.Workload("fill").arguments(scene.kafka.bootstrap, 600)
    load[load.index(workloads.ORDERS)] = workloads.STORED
    scene.generate(*load, "--records", "1000000")


# Processes


def processes(scene, arguments):
    """Of new processes: seconds to ready, memory at rest, with idle connections, and at full speed with ten connections."""
    found = {}
    for target in scene.own_processes():
        ready, rest, idle, busy = [], [], [], []
        for _ in range(arguments.rounds):
            target.stop()
            ready.append(target.start())
            rest.append(settled(target.pid))
            with connected(target.bootstrap, arguments.idle):
                idle.append(settled(target.pid))
            target.stop()
            target.start()
            busy_as = BUSY if BUSY.format in target.takes else workloads.BY_NAME["json-400"]
            busy.append(one(scene, target, busy_as, arguments.seconds)["resident_bytes"])
        found[target.name] = {
            "ready_seconds": ready, "resident_at_rest": rest, "resident_idle": idle, "resident_busy": busy,
            "idle_connections": arguments.idle,
        }
        say(f"{target.name:22}ready in {statistics.median(ready) * 1000:,.0f} ms")
    return found


def settled(pid):
    samples = []
    for _ in range(5):
        time.sleep(0.2)
        samples.append(of_process.resident_bytes(of_process.tree(pid)))
    return max(samples)


@contextlib.contextmanager
def connected(bootstrap, count):
    """Connections that have asked for the versions, as every client does first, and then nothing more."""
    host, port = bootstrap.rsplit(":", 1)
    question = struct.pack(">hhih", 18, 0, 1, -1)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            connection.sendall(struct.pack(">i", len(question)) + question)
            if not connection.recv(4096):
                sys.exit(f"{bootstrap} takes fewer than {count} connections")
        yield
