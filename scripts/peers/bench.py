#!/usr/bin/env python3
"""alexnet beside what else could be picked, on the same cores and in turn: PyTorch and TensorFlow to train; those, ONNX Runtime and OpenVINO to predict.

usage: bench.py [--rows PATTERN]... [--modes PATTERN] [--quick] [--redo] [--write]

Each row first tries every mode of every peer (eager and compiled, contiguous and channels_last, graph and XLA), each in a process of its own. The two
fastest then run against alexnet in turn, A B C A B C; a row's ratio is the median over the rounds of alexnet's to the better of the two in the same round. The
peers' nets are made from `alexnet config --json`; rows "equal" show that they are the same net, loss and update. What is measured is kept in
build/bench-peers.json after every number: a run that was cut off goes on where it was, and a new build of alexnet is measured anew.
`make bench-peers` installs what it needs; docs/results.md says how to read the table.
"""
import argparse
import dataclasses
import datetime
import fnmatch
import hashlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import net
import table
import rows
from rows import modes
from sides import FRAMEWORKS, HERE, PLAIN, THREADS, Failed, Peer, python, run

ROOT = pathlib.Path(HERE).parent.parent
STEPS = 4  # that show equal updates: from the third on momentum is of more than one gradient


class Bench:
    def __init__(self, options):
        self.o = options
        self.alexnet = pathlib.Path(options.alexnet).resolve()
        self.binary = hashlib.sha256(self.alexnet.read_bytes()).hexdigest()[:12]
        self.path = ROOT / "build" / ("bench-peers-quick.json" if options.quick else "bench-peers.json")
        self.path.parent.mkdir(exist_ok=True)
        self.results = json.loads(self.path.read_text()) if self.path.exists() else {"versions": {}, "rows": {}}
        self.results["backend"] = self.json("version")["backends"][0]
        self.pace = rows.QUICK if options.quick else rows.FULL
        self.plans, self.weights = {}, {}  # by config

    def save(self):
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.results, indent=1))
        part.replace(self.path)

    def say(self, text):
        print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)

    def json(self, *arguments):
        return json.loads(run([self.alexnet, *arguments, "--json"])[0])

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

    def job(self, row, framework, mode, **more):
        return {"framework": framework, "mode": mode, "task": row.task, "batch": row.batch, "precision": row.precision, "threads": THREADS,
                "plan": self.plan(row.config)} | more

    def launch(self, row, framework, mode, tuned=True, **more):
        """Starts a peer and waits for its first step."""
        peer = Peer(python(self.o.cache, framework), self.job(row, framework, mode, **more), self.folder, tuned)
        try:
            self.results["versions"] |= peer.hear()["versions"]
        except BaseException:
            peer.end(1)
            raise
        return peer

    def steps(self, seconds):
        """How many of so long steps a measurement takes."""
        return min(max(round(self.pace.seconds / seconds), self.pace.steps), 500)

    def qualify(self, row, entry, measure):
        """Takes `measure` of every mode that has no number yet."""
        for framework, mode in modes(row.task, row.precision):
            name = f"{framework} {mode}"
            # the order of values in memory changes no sum, so that one of two is enough to show equal work
            if name in entry["modes"] or not fnmatch.fnmatch(name, self.o.modes) or (row.kind == "equal" and "contiguous" in mode):
                continue
            try:
                entry["modes"][name] = measure(framework, mode)
            except Failed as e:
                entry["modes"][name], entry["failed"] = None, entry.get("failed", {}) | {name: str(e).splitlines()[0]}
            self.save()
            self.say(f"{row.name}: {name} {entry['modes'][name]}")

    def measure_row(self, row):
        """Measures what is missing of a row."""
        entry = self.results["rows"].get(row.name)
        if entry is None or self.o.redo or entry["binary"] != self.binary:
            entry = {"kind": row.kind, "binary": self.binary, "commit": commit(), "gate": row.gate, "modes": {}, "rounds": []}
        if entry.get("done"):
            return
        entry["modes"] = {n: v for n, v in entry["modes"].items() if v is not None}  # what failed before a cut may go well now
        entry.pop("failed", None)
        self.results["rows"][row.name] = entry
        getattr(self, row.kind)(row, entry)
        entry["date"] = f"{datetime.date.today()}"
        self.save()

    # images a second

    def ours(self, row, steps):
        r = self.json("bench", "--config", row.config, "--mode", row.task, "--batch", row.batch, "--precision", row.precision, "--steps", steps, "--warmup", 2)
        return r["images_per_second"]

    def theirs(self, row, peer, steps, warmup=0):
        r = peer.ask({"steps": steps, "warmup": warmup})
        peer.pause()
        return row.batch / statistics.median(r["seconds"])

    def speed(self, row, entry):
        alive = {}

        def measure(framework, mode):
            peer, name = self.launch(row, framework, mode, weights=self.initial(row.config)), f"{framework} {mode}"
            alive[name] = peer
            speed = self.theirs(row, peer, self.steps(row.batch / self.theirs(row, peer, 1)))
            for other in set(alive) - set(best(entry["modes"] | {name: speed}, 2)):
                alive.pop(other).end()
            return speed

        try:
            self.qualify(row, entry, measure)
            if all(f"{f} {m}" in entry["modes"] for f, m in modes(row.task, row.precision)):
                self.duel(row, entry, alive)
        finally:
            for peer in alive.values():
                peer.end()

    def duel(self, row, entry, alive):
        names = best(entry["modes"], 2)
        if not names:
            raise Failed(f"{row.name}: no peer ran")
        for name in names:
            if name not in alive:  # it qualified in an earlier run
                framework = next(f for f in FRAMEWORKS if name.startswith(f + " "))
                alive[name] = self.launch(row, framework, name[len(framework) + 1:], weights=self.initial(row.config))
                alive[name].pause()
        steps = {n: self.steps(row.batch / entry["modes"][n]) for n in names}
        ours = self.steps(row.batch / self.ours(row, self.pace.steps))  # of a first run, which is not counted
        rounds = self.pace.most
        while len(entry["rounds"]) < rounds:
            start = time.monotonic()
            entry["rounds"].append({"alexnet": self.ours(row, ours)} | {n: self.theirs(row, alive[n], steps[n], 1) for n in names})
            self.save()
            self.say(f"{row.name}: " + ", ".join(f"{n} {v:.4g}" for n, v in entry["rounds"][-1].items()))
            rounds = min(max(round(self.pace.row / (time.monotonic() - start)), self.pace.least), self.pace.most)
        entry["done"] = True

    # bytes

    def memory(self, row, entry):
        def measure(framework, mode):
            more = {} if framework == "PyTorch" else {"weights": self.initial(row.config)}  # PyTorch draws its own: no second copy
            with self.launch(row, framework, mode, tuned=False, **more) as peer:
                peer.ask({"steps": 2, "warmup": 0})
                peer.end()
                return peer.memory

        self.qualify(row, entry, measure)
        _, ours = run([self.alexnet, "bench", "--config", row.config, "--batch", row.batch, "--precision", row.precision, "--steps", 3, "--json"])
        names = sorted((n for n, v in entry["modes"].items() if v), key=entry["modes"].get)[:1]
        entry["rounds"] = [{"alexnet": ours} | {n: entry["modes"][n] for n in names}]
        entry["done"] = len(entry["modes"]) == len(list(modes(row.task, row.precision)))

    # seconds from the start of the process to the end of its first step

    def start(self, row, entry):
        eager = [m for f, m in modes(row.task, row.precision) if f == "PyTorch" and "eager" in m]

        def theirs(mode):
            begin = time.monotonic()
            with self.launch(row, "PyTorch", mode):
                return time.monotonic() - begin

        def ours():
            begin = time.monotonic()
            run([self.alexnet, "bench", "--config", row.config, "--batch", row.batch, "--precision", row.precision, "--steps", 1, "--warmup", 0])
            return time.monotonic() - begin  # the end of the process included

        if not entry["modes"]:  # and files are in memory from here on
            ours()
            entry["modes"] = {f"PyTorch {m}": theirs(m) for m in eager}
        while len(entry["rounds"]) < self.pace.least:
            entry["rounds"].append({"alexnet": ours()} | {f"PyTorch {m}": theirs(m) for m in eager})
            self.save()
            self.say(f"{row.name}: " + ", ".join(f"{n} {v:.2f} s" for n, v in entry["rounds"][-1].items()))
        entry["done"] = True

    # seconds of an epoch: the first from the start of the process, and the one after

    def epoch(self, row, entry):
        data = self.o.data / ("cifar10-test.tar" if self.o.quick else "cifar10-train.tar")
        if not data.exists():
            self.say(f"{row.name}: skipped, there is no {data}; --data names the folder")
            del self.results["rows"][row.name]
            return

        def theirs(mode, loader):
            job = self.job(row, "PyTorch", mode, weights=self.initial(row.config), data=str(data), loader=loader, epochs=2)
            begin, times = time.monotonic(), []
            command = [python(self.o.cache, "PyTorch")[0], os.path.join(HERE, "peer_torch_epoch.py")]
            with Peer(command, job, self.folder) as peer:
                for _ in range(2):
                    peer.hear()
                    times.append(time.monotonic() - begin)
            return [times[0], times[1] - times[0]]

        def qualify(mode, loader):
            if f"PyTorch {mode}, {loader}" not in entry["modes"]:
                entry["modes"][f"PyTorch {mode}, {loader}"] = r = theirs(mode, loader)
                self.save()
                self.say(f"{row.name}: PyTorch {mode}, {loader}: {r[0]:.1f} s, {r[1]:.1f} s")

        for mode in ("eager contiguous", "eager channels_last", "compiled contiguous", "compiled channels_last"):
            qualify(mode, "memory")
        fastest = min(entry["modes"], key=lambda n: entry["modes"][n][1]).removeprefix("PyTorch ").split(",")[0]
        for loader in ("DataLoader 0", "DataLoader 2"):
            qualify(fastest, loader)
        names = sorted({min(entry["modes"], key=lambda n: entry["modes"][n][i]) for i in range(2)})
        while len(entry["rounds"]) < self.pace.least:
            r = {"alexnet": self.epochs_ours(row, data)}
            for n in names:
                r[n] = theirs(*n.removeprefix("PyTorch ").split(", "))
            entry["rounds"].append(r)
            self.save()
            self.say(f"{row.name}: " + ", ".join(f"{n} {v[0]:.1f} s, {v[1]:.1f} s" for n, v in r.items()))
        entry["done"] = True

    def epochs_ours(self, row, data):
        """Two epochs of alexnet train, each with its test on held-out pictures and its checkpoint."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            metrics, times, begin = pathlib.Path(out) / "run" / "metrics.jsonl", [], time.monotonic()
            child = subprocess.Popen([self.alexnet, "train", "--config", row.config, "--data", data, "--epochs", "2", "--batch", str(row.batch), "--out", metrics.parent],
                                     env=PLAIN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while len(times) < 2:
                if child.poll():
                    raise Failed(f"alexnet train: exit code {child.returncode}")
                time.sleep(0.02)
                if metrics.exists() and metrics.read_text().count('"val_loss"') > len(times):
                    times.append(time.monotonic() - begin)
            child.wait()
            return [times[0], times[1] - times[0]]

    # the same work

    def equal(self, row, entry):
        """Losses of some steps and the logits before them, of the same weights on the same pictures; without dropout, for each side draws its own."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        sets = self.equal_sets(row)
        document = self.json("config", "--config", row.config, *sets)
        side = net.nested(document)["data"]["resize"]
        run([self.alexnet, "data", "demo", "--out", folder / "shapes", "--train", 1, "--val", 1, "--size", side])
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
        more = {"plan": plan, "weights": str(folder / "plain.safetensors"), "labels": list(range(len(pictures)))}

        def measure(task):
            def one(framework, mode):
                asked = {"logits": str(folder / "logits.npy")} if task == "infer" else {"steps": STEPS}
                with self.launch(dataclasses.replace(row, task=task), framework, mode, input=str(folder / f"{task}.npy"), **more) as peer:
                    r = peer.ask({"check": asked})
                if task == "infer":
                    return r["deviation"]
                return max(abs(a - b) / b for a, b in zip(r["losses"], entry["losses"], strict=True))
            return one

        self.qualify(row, entry, measure("train"))
        logits = entry.setdefault("logits", {"modes": {}})
        if row.config in ("alexnet", "torchvision"):  # those that are timed predicting
            self.qualify(dataclasses.replace(row, task="infer"), logits, measure("infer"))
        allowed, moved = rows.EQUAL[row.precision], max(entry["losses"]) / min(entry["losses"]) - 1
        entry["equal"] = moved > 10 * allowed and all(v <= allowed for v in (entry["modes"] | logits["modes"]).values() if v is not None)
        self.save()
        if not entry["equal"]:
            raise Failed(f"not the same work: more than {allowed} apart, or losses that hardly move: {entry}")
        entry["done"] = self.o.modes == "*"

    def equal_sets(self, row):
        """Weights that keep a map's size, a loss that moves, and decay that shows within STEPS."""
        keys = {"train.dropout": "false", "train.lr": 0.0003, "train.weight_decay": 5, "train.bias_decay": 3, "train.schedule.kind": "constant",
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


def commit():
    """The commit, with a mark where what alexnet is made of differs from it."""
    git = lambda *a: subprocess.run(["git", *a], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "cmd", "internal", "configs", "go.mod") else "")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", default="*", help="only rows whose name is like this, as in 'alexnet train 128*'")
    p.add_argument("--modes", default="*", help="try only modes like this, as in 'PyTorch eager*'; rows stay unfinished")
    p.add_argument("--quick", action="store_true", help="one round of few steps, to see whether all runs; kept apart, in build/bench-peers-quick.json")
    p.add_argument("--redo", action="store_true", help="measure anew what is there already")
    p.add_argument("--list", action="store_true", help="names of rows, and whether they are measured")
    p.add_argument("--write", action="store_true", help="write the table into docs/results.md too")
    p.add_argument("--alexnet", default=ROOT / "bin" / "alexnet")
    p.add_argument("--cache", default=pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "alexnet",
                   help="folder of the peers' virtual environments")
    p.add_argument("--data", type=pathlib.Path, default=os.environ.get("ALEXNET_TEST_DATA") or ROOT.parent / "shared" / "data", help="folder with cifar10-train.tar")
    o = p.parse_args()
    bench, failed = Bench(o), False
    chosen = [r for r in rows.rows() if fnmatch.fnmatch(r.name, o.rows)]
    if not chosen:
        p.error(f"no row is like {o.rows!r}; --list names them")
    if o.list:
        for r in chosen:
            print(f"{r.name:32} {'measured' if bench.results['rows'].get(r.name, {}).get('done') else ''}")
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
