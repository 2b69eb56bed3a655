"""The two sides of a measurement as processes: alexnet's own commands, and one peer in one mode."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
THREADS = len(os.sched_getaffinity(0))

# On virtual machines page faults are dear, and with glibc's usual settings each large tensor is mapped anew and given back.
TUNED_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(32 << 30), "MALLOC_TOP_PAD_": str(256 << 20),
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
PLAIN = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}

# framework: its virtual environment in the cache folder, its worker
FRAMEWORKS = {"PyTorch": ("torch-2.15.0", "peer_torch.py"), "TensorFlow": ("peers-tf", "peer_tensorflow.py"),
              "ONNX Runtime": ("peers-ort", "peer_onnx.py"), "OpenVINO": ("peers-ort", "peer_onnx.py")}
PATIENCE = 300  # seconds that any answer may take; XLA compiles for long


class Failed(Exception):
    pass


def run(command, **options):
    """Runs a command to its end; returns its standard output and the most memory that it had, in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env=PLAIN, **options)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode:
            err.seek(0)
            raise Failed(f"{' '.join(map(str, command))}: exit code {child.returncode}\n{err.read()}")
        return out.read(), usage.ru_maxrss << 10  # Linux counts in KiB


def python(cache, framework):
    venv, script = FRAMEWORKS[framework]
    return [os.path.join(cache, venv, "bin", "python"), os.path.join(HERE, script)]


class Peer:
    """A process that answers lines of JSON with lines of JSON. While nothing is asked it is stopped, so that no thread of it spins."""

    def __init__(self, command, job, folder, tuned=True):
        self.log = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
                                      env=PLAIN | {"TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "inductor")} | (TUNED_MALLOC if tuned else {}))
        self.memory = 0
        self.say(job)

    def say(self, document):
        try:
            self.child.stdin.write(json.dumps(document) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # hear tells why

    def hear(self):
        watch = threading.Timer(PATIENCE, self.child.kill)
        watch.start()
        try:
            line = self.child.stdout.readline()
        finally:
            watch.cancel()
        answer = json.loads(line) if line else {"error": f"no answer (it may take {PATIENCE} s)"}
        if "error" in answer:
            self.end()
            self.log.seek(0)
            print(self.log.read()[-2000:], file=sys.stderr)
            raise Failed(answer["error"])
        return answer

    def ask(self, document):
        self.child.send_signal(signal.SIGCONT)
        self.say(document)
        return self.hear()

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)

    def end(self, patience=20):
        """Ends the process; memory is then the most that it had."""
        if self.child.returncode is not None:
            return
        self.child.send_signal(signal.SIGCONT)
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # what was not read before
        watch = threading.Timer(patience, self.child.kill)
        watch.start()
        _, status, usage = os.wait4(self.child.pid, 0)
        watch.cancel()
        self.child.returncode, self.memory = os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.end(20 if kind is None else 1)
