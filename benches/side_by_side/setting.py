"""Sets the scene: a broker, a registry, the targets between them and the load generator, and what each of them is."""

import argparse
import contextlib
import json
import subprocess
import sys

import targets
import workloads
from processes import ROOT, bars

TARGETS = [
    "direct", "haproxy", "kroxylicious", "kroxylicious-json", "schemaward-off", "schemaward-observe", "schemaward-enforce",
]


class Scene:
    """Broker, registry and targets, all running."""

    def __init__(self, arguments, generator, folder):
        self.arguments, self.generator, self.folder = arguments, generator, folder
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            self.set_up()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def set_up(self):
        arguments = self.arguments
        proxy, listener = bars.free_ports(1), bars.free_ports(1)
        advertised = [(listener, f"127.0.0.1:{proxy}")] if "haproxy" in arguments.targets else []
        advertised += [(other["listener"], other["bootstrap"]) for other in arguments.other if other["listener"]]
        kafka = targets.Kafka(arguments.kafka_lib, self.folder, arguments.broker_port, advertised)
        self.kafka = self.stack.enter_context(kafka)
        self.registry = self.stack.enter_context(targets.registry())
        self.haproxy = proxy, f"127.0.0.1:{listener}"
        self.targets = [self.make(name) for name in arguments.targets]
        self.targets += [targets.Other(other["name"], other["bootstrap"], other["pid"]) for other in arguments.other]
        for target in self.own_processes():
            self.stack.callback(target.stop)
            target.start()
        self.generate("topic", "--bootstrap", kafka.bootstrap, workloads.ORDERS, "--partitions", str(workloads.PARTITIONS),
                      "--retention-bytes", str(64 * 2**20))
        self.generate("topic", "--bootstrap", kafka.bootstrap, workloads.STORED, "--partitions", str(workloads.PARTITIONS))

    def make(self, name):
        upstream, folder, arguments = self.kafka.bootstrap, self.folder, self.arguments
        if name == "direct":
            return targets.Direct(name, upstream)
        if name == "haproxy":
            return targets.HAProxy(name, self.haproxy[0], folder, self.haproxy[1])
        port = bars.free_ports(5)
        if name.startswith("kroxylicious"):
            registry = self.registry if name == "kroxylicious-json" else None
            return targets.Kroxylicious(name, port, folder, upstream, registry)
        mode = name.removeprefix("schemaward-")
        return targets.Schemaward(name, port, folder, upstream, self.registry, arguments.binary, mode)

    def own_processes(self):
        return [target for target in self.targets if isinstance(target, targets.Process)]

    def generate(self, *arguments):
        """Runs the load generator and gives what it says. What it could not deliver ends everything."""
        command = [self.generator, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}{self.last_words()}")
        return json.loads(done.stdout)

    def last_words(self):
        """The end of every log, so that nobody has to guess."""
        logs = [(target.name, target.folder / "log") for target in self.own_processes()] + [("kafka", self.kafka.log)]
        words = [(name, log.read_text(encoding="utf-8", errors="replace")[-2000:]) for name, log in logs if log.is_file()]
        return "".join(f"\n--- {name}\n{text}" for name, text in words if text.strip())


def parse_other(text):
    """NAME=HOST:PORT,PID or NAME=HOST:PORT,PID,PORT."""
    name, _, rest = text.partition("=")
    parts = rest.split(",")
    if not name or name in TARGETS or len(parts) not in (2, 3) or not all(part.isdigit() for part in parts[1:]):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=HOST:PORT,PID or NAME=HOST:PORT,PID,PORT")
    return {"name": name, "bootstrap": parts[0], "pid": int(parts[1]), "listener": int(parts[2]) if parts[2:] else None}


def build_generator():
    """By the profile of tests, in which dependencies are optimized."""
    command = ["cargo", "build", "--locked", "--features", "demo", "--bench", "side_by_side", "--message-format", "json"]
    print("building the load generator", file=sys.stderr)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit("the load generator does not build")
    messages = map(json.loads, done.stdout.splitlines())
    built = [it["executable"] for it in messages if it.get("executable") and it["target"]["name"] == "side_by_side"]
    return built[0] if built else sys.exit("cargo does not say where the load generator is")


def versions(arguments):
    names = {name.partition("-")[0] for name in arguments.targets}
    found = {"Apache Kafka": arguments.kafka_lib.resolve().parent.name.removeprefix("kafka-")}
    if "haproxy" in names:
        found["HAProxy"] = first_line([targets.haproxy(), "-v"]).removeprefix("HAProxy version ").split()[0]
    if "kroxylicious" in names:
        found["Kroxylicious"] = targets.KROXYLICIOUS
    if "schemaward" in names:
        found["schemaward"] = first_line([arguments.binary, "--version"]).removeprefix("schemaward ")
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
        found["commit"] = commit.stdout.strip()
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    found["librdkafka"] = lock.split('name = "rdkafka-sys"\nversion = "')[1].split('"')[0].partition("+")[2]
    found["Java"] = first_line(["java", "-version"]).split('"')[1]
    return found


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return (done.stdout + done.stderr).splitlines()[0]
