#!/usr/bin/env python3
"""alexnet beside what else could be picked, on the same cores and in turn: PyTorch and TensorFlow to train; those, ONNX Runtime and OpenVINO to predict.

usage: bench.py [--rows PATTERN]... [--modes PATTERN] [--quick] [--redo] [--write]

Each row first tries every mode of every peer (eager and compiled, contiguous and channels_last, graph and XLA), each in a process of its own. The two
fastest then run against alexnet in turn, A B C A B C; a row's ratio is the median over the rounds of alexnet's to the better of the two in the same round. The
peers' nets are made from `alexnet config --json`; rows "equal" show that they are the same net, loss and update. What is measured is kept in
build/bench-peers.json after every number: a run that was cut off goes on where it was. After a change of the program, of these scripts, of the peers or of
the machine a row is measured anew.
`make bench-peers` installs what it needs; docs/results.md says how to read the table.
"""
import argparse
import contextlib
import dataclasses
import datetime
import fnmatch
import hashlib
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import net
import table
import rows
from sides import FRAMEWORKS, HERE, PLAIN, Failed, Peer, parse, python, run, spawn, split, worker

ROOT = pathlib.Path(HERE).parent.parent
STEPS = 4  # that show equal updates: from the third on momentum is of more than one gradient


class Bench:
    def __init__(self, options):
        self.o = options
        self.alexnet = ROOT / "bin" / "alexnet"
        self.path = ROOT / "build" / ("bench-peers-quick.json" if options.quick else "bench-peers.json")
        self.path.parent.mkdir(exist_ok=True)
        self.results = json.loads(self.path.read_text()) if self.path.exists() else {"versions": {}, "rows": {}}
        doctor = self.json("doctor", "--device", "reference")
        cores = doctor["machine"]["cores"]
        self.threads = min(cores["affinity"], cores["gomaxprocs"])  # as many as alexnet takes
        self.results |= {"backend": doctor["program"]["backends"][0], "machine": table.machine(self.threads)}
        self.key = key(doctor["program"], self.results["machine"], options.cache)
        self.pace = rows.QUICK if options.quick else rows.FULL
        self.plans, self.weights = {}, {}  # by config

    def save(self):
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.results, indent=1))
        part.replace(self.path)

    def say(self, text):
        print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)

    def json(self, *arguments):
        return parse(run([self.alexnet, *arguments, "--json"])[0])

    def plan(self, config):
        """The peers' net, which must have as many parameters as alexnet counts."""
        if config not in self.plans:
            p, want = net.plan(self.json("config", "--config", config)), self.json("summary", "--config", config)["parameters"]
            if net.parameters(p) != want:
                raise Failed(f"{config}: the peers' net has {net.parameters(p)} parameters, alexnet's {want}")
            self.plans[config] = p
        return self.plans[config]

    def initial(self, config):
        """A file of the weights that alexnet bench starts from, for peers."""
        if config not in self.weights:
            checkpoint, out = self.folder / f"{config}.safetensors", self.folder / f"{config}-plain.safetensors"
            run([self.alexnet, "weights", "init", "--config", config, "--out", checkpoint])
            run([self.alexnet, "weights", "export", checkpoint, "--out", out])
            self.weights[config] = str(out)
        return self.weights[config]

    def job(self, row, name, **more):
        framework, mode = split(name)
        return {"framework": framework, "mode": mode, "task": row.task, "batch": row.batch, "precision": row.precision, "threads": self.threads,
                "plan": self.plan(row.config)} | more

    def launch(self, row, name, tuned=True, **more):
        """Starts a peer and waits for its first step."""
        peer = Peer(worker(self.o.cache, split(name)[0]), self.job(row, name, **more), self.path.parent, tuned)
        try:
            self.results["versions"] |= peer.hear()["versions"]
        except BaseException:
            peer.end(1)
            raise
        return peer

    def steps(self, seconds):
        """How many of so long steps a measurement takes."""
        return min(max(round(self.pace.seconds / seconds), self.pace.steps), 500)

    @contextlib.contextmanager
    def guard(self, row, entry, name):
        """A mode that fails is told of in its row; the others go on."""
        try:
            yield
        except Failed as e:
            entry["modes"][name] = None
            entry.setdefault("failed", {})[name] = str(e).splitlines()[0]
            self.say(f"{row.name}: {name} failed: {e}")

    def qualify(self, row, entry, measure, names=None):
        """Takes `measure` of every mode that has no number yet; true when all have been tried."""
        names = rows.modes(row) if names is None else names
        for name in names:
            if name in entry["modes"] or not fnmatch.fnmatch(name, self.o.modes):
                continue
            with self.guard(row, entry, name):
                entry["modes"][name] = measure(name)
                self.say(f"{row.name}: {name} {show(entry['modes'][name])}")
            self.save()
        return all(name in entry["modes"] for name in names)

    def rounds(self, row, entry, chosen, ours, theirs):
        """alexnet and the peers chosen(), in turn. After one that fails (it has no number any more) all begin anew, with the next in its place."""
        wanted = self.pace.most
        while len(entry["rounds"]) < wanted:
            names, start = chosen(), time.monotonic()
            if not names:
                raise Failed("no peer ran")
            if entry["rounds"] and set(entry["rounds"][0]) != {"alexnet", *names}:
                entry["rounds"] = []
            r = {"alexnet": ours()}
            for name in names:
                with self.guard(row, entry, name):
                    r[name] = theirs(name)
            if len(r) == 1 + len(names):
                entry["rounds"].append(r)
            self.save()
            self.say(f"{row.name}: " + ", ".join(f"{n} {show(v)}" for n, v in r.items()))
            wanted = min(max(round(self.pace.row / (time.monotonic() - start)), self.pace.least), self.pace.most)
        entry["done"] = True

    def measure_row(self, row):
        """Measures what is missing of a row."""
        entry = self.results["rows"].get(row.name)
        if entry is None or self.o.redo or entry.get("key") != self.key:
            entry = {"kind": row.kind, "key": self.key, "commit": table.commit(), "modes": {}, "rounds": []}
        if entry.get("done"):
            return
        for part in (entry, entry.get("logits", {"modes": {}})):
            part["modes"] = {n: v for n, v in part["modes"].items() if v is not None}  # what failed before a cut may go well now
            part.pop("failed", None)
        self.results["rows"][row.name] = entry
        getattr(self, row.kind)(row, entry)
        entry["date"] = f"{datetime.date.today()}"
        self.save()

    # images a second

    def ours(self, row, steps):
        r = self.json("bench", "--config", row.config, "--mode", row.task, "--batch", row.batch, "--precision", row.precision, "--steps", steps, "--warmup", 2,
                      *["--int8"] * row.int8)
        return r["images_per_second"]

    def speed(self, row, entry):
        alive = {}  # those that wait for their turn, stopped

        def theirs(name, steps, warmup=0):
            if name not in alive:
                alive[name] = self.launch(row, name, weights=self.initial(row.config))
            r = alive[name].ask({"steps": steps, "warmup": warmup})
            alive[name].pause()
            return row.batch / statistics.median(r["seconds"])

        def measure(name):
            speed = theirs(name, 1)
            if self.pace.trial * speed > 2 * row.batch:
                speed = theirs(name, min(round(self.pace.trial * speed / row.batch), 500))
            for other in set(alive) - set(best(entry["modes"] | {name: speed}, 2)):
                alive.pop(other).end()
            return speed

        def compiled():
            eager = {n.replace("eager", "compiled"): v for n, v in entry["modes"].items() if "eager" in n}
            slow = rows.WORTH * max((v for v in eager.values() if v), default=0)
            return [n for n in rows.modes(row) if "compiled" in n and (eager.get(n) or slow) >= slow]

        try:
            if self.qualify(row, entry, measure, [n for n in rows.modes(row) if "compiled" not in n]) and self.qualify(row, entry, measure, compiled()):
                steps = self.steps(row.batch / self.ours(row, self.pace.steps))  # of a first run, which is not counted
                self.rounds(row, entry, lambda: best(entry["modes"], 2), lambda: self.ours(row, steps),
                            lambda name: theirs(name, self.steps(row.batch / entry["modes"][name]), 1))
        finally:
            for peer in alive.values():
                peer.end()

    # bytes

    def memory(self, row, entry):
        def measure(name):
            more = {} if name.startswith("PyTorch") else {"weights": self.initial(row.config)}  # PyTorch draws its own: no second copy
            with self.launch(row, name, tuned=False, **more) as peer:
                peer.ask({"steps": 2, "warmup": 0})
                peer.end()
                return peer.memory

        if self.qualify(row, entry, measure):
            _, ours = run([self.alexnet, "bench", "--config", row.config, "--batch", row.batch, "--precision", row.precision, "--steps", 3, "--json"])
            _, entry["import"] = run([python(self.o.cache, "PyTorch"), "-c", "import torch"])
            ran = {n: v for n, v in entry["modes"].items() if v}
            if not ran:
                raise Failed("no peer ran")
            least = min(ran, key=ran.get)
            entry |= {"rounds": [{"alexnet": ours, least: ran[least]}], "done": True}

    # seconds from the start of the process to the end of its first step

    def start(self, row, entry):
        def theirs(name):
            begin = time.monotonic()
            with self.launch(row, name):
                return time.monotonic() - begin

        def complete(*command):
            begin = time.monotonic()
            run(command)
            return time.monotonic() - begin  # the end of the process included

        def ours():
            return complete(self.alexnet, "bench", "--config", row.config, "--batch", row.batch, "--precision", row.precision, "--steps", 1, "--warmup", 0)

        if self.qualify(row, entry, theirs):
            ours()  # files are in memory from here on
            entry["import"] = complete(python(self.o.cache, "PyTorch"), "-c", "import torch")
            self.rounds(row, entry, lambda: [n for n, v in entry["modes"].items() if v], ours, theirs)

    # seconds of an epoch: the first from the start of the process, and the one after

    def epoch(self, row, entry):
        data = self.o.data / ("cifar10-test.tar" if self.o.quick else "cifar10-train.tar")
        if not data.exists():
            del self.results["rows"][row.name]
            raise Failed(f"there is no {data}; --data names the folder")

        def theirs(name):
            name, loader = name.split(", ")
            job = self.job(row, name, weights=self.initial(row.config), data=str(data), loader=loader, epochs=2)
            begin, times = time.monotonic(), []
            with Peer(worker(self.o.cache, job["framework"], "_epoch"), job, self.path.parent) as peer:
                for _ in range(2):
                    peer.hear()
                    times.append(time.monotonic() - begin)
            return [times[0], times[1] - times[0]]

        def fastest():
            ran = {n: v for n, v in entry["modes"].items() if v}
            return sorted({min(ran, key=lambda n: ran[n][i]) for i in range(2)} if ran else ())

        if self.qualify(row, entry, theirs):
            memory = {n: v[1] for n, v in entry["modes"].items() if v and n.endswith(", memory")}
            by = [f"{min(memory, key=memory.get).removesuffix('memory')}DataLoader {workers}" for workers in (0, 2) if memory]
            if self.qualify(row, entry, theirs, by):
                self.rounds(row, entry, fastest, lambda: self.epochs_ours(row, data), theirs)

    def epochs_ours(self, row, data):
        """Two epochs of alexnet train, each with its test on held-out pictures and its checkpoints; the second with the end of the process."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            checkpoint, begin = pathlib.Path(out) / "run" / "checkpoints" / "last.safetensors", time.monotonic()
            child = spawn([self.alexnet, "train", "--config", row.config, "--data", data, "--epochs", 2, "--batch", row.batch, "--out", f"{out}/run"],
                          # no cache folder, whose path would be absolute: each run computes the mean image
                          env=PLAIN | {"XDG_CACHE_HOME": "none"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while child.poll() is None and not checkpoint.exists():
                    time.sleep(0.02)
                first = time.monotonic() - begin
                if child.wait():
                    raise Failed(f"alexnet train: exit code {child.returncode}")
                return [first, time.monotonic() - begin - first]
            finally:
                child.kill()

    # the same work

    def equal(self, row, entry):
        """Losses of some steps and the logits before them, of the same weights on the same pictures; without dropout, for each side draws its own."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        sets = self.equal_sets(row)
        document = self.json("config", "--config", row.config, *sets)
        side = net.nested(document)["data"]["resize"]
        run([self.alexnet, "data", "demo", "--out", folder / "shapes", "--train", row.batch // 10, "--val", 1, "--size", side])
        pictures = sorted((folder / "shapes" / "train").rglob("*.png"))
        run([self.alexnet, "weights", "init", "--config", row.config, *sets, "--out", folder / "start.safetensors"])
        run([self.alexnet, "weights", "export", folder / "start.safetensors", "--out", folder / "plain.safetensors"])
        plan = net.plan(document)
        run([self.alexnet, "train", "--config", row.config, *sets, "--data", folder / "shapes", "--init", folder / "start.safetensors", "--batch", row.batch,
             "--steps", STEPS, "--out", folder / "run"])
        logits = plan["layers"][-1]["name"]
        for weights, layer, out in ("start.safetensors", "input", "infer"), ("start.safetensors", logits, "logits"), ("run", "input", "train"):
            # with the training set's mean, the run's pictures are others than those of the weights it began with
            run([self.alexnet, "features", *pictures, "--weights", folder / weights, "--layer", layer, "--out", folder / f"{out}.npy"])
        lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        entry["losses"] = [line["loss"] for line in lines if "loss" in line]
        more = {"plan": plan, "weights": str(folder / "plain.safetensors"), "labels": [i * 10 // len(pictures) for i in range(len(pictures))]}

        def measure(task):
            def one(name):
                asked = {"logits": str(folder / "logits.npy")} if task == "infer" else {"steps": STEPS}
                with self.launch(dataclasses.replace(row, task=task), name, input=str(folder / f"{task}.npy"), **more) as peer:
                    r = peer.ask({"check": asked})
                if task == "infer":
                    return r["deviation"]
                return max(abs(a - b) / b for a, b in zip(r["losses"], entry["losses"], strict=True))
            return one

        parts = [(row, entry)]
        if row.config in ("alexnet", "torchvision"):  # those that are timed predicting
            int8 = (row.config, row.precision) == ("alexnet", "bf16")  # whose peers are timed with int8 weights too
            parts.append((dataclasses.replace(row, task="infer", int8=int8), entry.setdefault("logits", {"modes": {}})))
        if not all([self.qualify(r, e, measure(r.task)) for r, e in parts]):
            return
        allowed, moved = rows.EQUAL[row.precision], max(entry["losses"]) / min(entry["losses"]) - 1
        entry["equal"] = moved > 10 * allowed and all(agree(r, e["modes"], allowed) for r, e in parts)
        self.save()
        if not entry["equal"]:
            raise Failed(f"not the same work: more than {allowed} apart, a framework of which no mode ran, or losses that hardly move: {entry}")
        entry["done"] = True

    def equal_sets(self, row):
        """Weights that keep a map's size, a loss that moves, and decay that shows within STEPS."""
        rate = {"alexnet": 0.0003, "torchvision": 0.00001}.get(row.config, 0.0015)
        keys = {"train.dropout": "false", "train.lr": rate, "train.weight_decay": 5, "train.bias_decay": 3, "train.schedule.kind": "constant",
                "train.precision": row.precision, "train.augment.crop": "center", "train.augment.flip": "false", "train.augment.color": 0,
                "data.std": "[64]", "data.val_share": 0, "model.classes": 10}
        for layer in self.plan(row.config)["layers"]:
            if "rates" in layer:
                fan = math.prod(net.weight_shape(layer)[1:])
                keys |= {f"model.{layer['name']}.init.std": f"{math.sqrt(2 / fan):.4f}", f"model.{layer['name']}.init.bias": 0.1}
        return [a for k, v in keys.items() for a in ("--set", f"{k}={v}")]


def best(modes, count):
    """Names of the fastest that ran, the fastest first."""
    return sorted((n for n, v in modes.items() if v), key=modes.get, reverse=True)[:count]


def agree(row, modes, allowed):
    """Of every framework at least one mode ran, and all that ran are as near as they must be."""
    ran = {n: v for n, v in modes.items() if v is not None}
    return {split(n)[0] for n in rows.modes(row)} == {split(n)[0] for n in ran} and all(v <= (rows.EQUAL["int8"] if n.endswith("int8") else allowed) for n, v in ran.items())


def show(value):
    return ", ".join(f"{v:.4g}" for v in (value if isinstance(value, list) else [value]))


def key(program, machine, cache):
    """A hash of all that a number depends on: alexnet's sources (the program itself has the commit in it), how it was built, these scripts, the peers'
    packages, the machine."""
    files = [p for part in table.PROGRAM for p in (ROOT / part, *(ROOT / part).rglob("*")) if not p.name.endswith("_test.go") and "testdata" not in p.parts]
    files += [p for p in pathlib.Path(HERE).glob("*.py") if p.name != "table.py"]
    packages = [p.name for venv, _ in FRAMEWORKS.values() for p in pathlib.Path(cache).glob(f"{venv}/lib/python*/site-packages/*.dist-info")]
    built = {k: v for k, v in program.items() if k not in ("version", "revision")}
    digest = hashlib.sha256(json.dumps([built, machine, sorted(packages)]).encode())
    for path in sorted(p for p in files if p.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cut(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, what is open gets closed
    raise KeyboardInterrupt


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", action="append", metavar="PATTERN", help="only rows whose name is like this, as in 'alexnet train 128*'; may be repeated")
    p.add_argument("--modes", default="*", help="try only modes like this, as in 'PyTorch eager*'; rows stay unfinished")
    p.add_argument("--quick", action="store_true", help="one round of few steps, to see whether all runs; kept apart, in build/bench-peers-quick.json")
    p.add_argument("--redo", action="store_true", help="measure anew what is there already")
    p.add_argument("--list", action="store_true", help="names of rows, and whether they are measured")
    p.add_argument("--write", action="store_true", help="write the table into docs/results.md too")
    p.add_argument("--cache", default=pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "alexnet",
                   help="folder of the peers' virtual environments")
    p.add_argument("--data", type=pathlib.Path, default=os.environ.get("ALEXNET_TEST_DATA") or ROOT.parent / "shared" / "data", help="folder with cifar10-train.tar")
    o = p.parse_args()
    signal.signal(signal.SIGTERM, cut)
    try:
        bench, failed = Bench(o), False
    except Failed as e:
        sys.exit(f"bench.py: {e}")
    chosen = [r for r in rows.rows() if any(fnmatch.fnmatch(r.name, pattern) for pattern in o.rows or ["*"])]
    if not chosen:
        p.error(f"no row is like {' or '.join(o.rows)}; --list names them")
    if o.list:
        for r in chosen:
            entry = bench.results["rows"].get(r.name, {})
            print(f"{r.name:32} {'measured' if entry.get('done') and entry.get('key') == bench.key else ''}")
        return
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as folder:
        bench.folder = pathlib.Path(folder)
        for row in chosen:
            try:
                bench.measure_row(row)
            except Failed as e:
                failed = True
                bench.say(f"{row.name} failed: {e}")
            except KeyboardInterrupt:
                bench.say("cut off; the same command goes on from here")
                sys.exit(130)
    text = table.markdown(bench.results)
    print(text)
    if o.write:
        table.write(ROOT / "docs" / "results.md", text)
    sys.exit(failed)


if __name__ == "__main__":
    main()
