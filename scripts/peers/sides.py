"""The two sides of a measurement as processes: alexnet's own commands, and one peer in one mode."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))

# On virtual machines page faults are dear, and with glibc's usual settings each large tensor is mapped anew and given back.
TUNED_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(32 << 30), "MALLOC_TOP_PAD_": str(256 << 20),
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
PLAIN = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "OMP_", "GOMP_", "KMP_", "MKL_"))}

# framework: its virtual environment in the cache folder, its worker
FRAMEWORKS = {"PyTorch": ("torch-2.15.0", "peer_torch"), "TensorFlow": ("peers-tf", "peer_tensorflow"),
              "ONNX Runtime": ("peers-ort", "peer_onnx"), "OpenVINO": ("peers-ort", "peer_onnx")}
PATIENCE = 900  # seconds that any answer may take; the first has import, compilation and a step in it


class Failed(Exception):
    pass


def spawn(command, **options):
    try:
        return subprocess.Popen([str(c) for c in command], **options)
    except OSError as e:
        raise Failed(f"{e} (`make bench-peers` builds alexnet and installs the peers)") from e


def parse(text):
    try:
        return json.loads(text)
    except ValueError as e:
        raise Failed(f"not JSON: {text[:200]!r}") from e


def run(command):
    """Runs a command to its end; returns its standard output and the most memory that it had, in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = spawn(command, stdout=out, stderr=err, env=PLAIN)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode:
            err.seek(0)
            raise Failed(f"{' '.join(map(str, command))}: exit code {child.returncode}\n{err.read()}")
        return out.read(), usage.ru_maxrss << 10  # Linux counts in KiB


def split(name):
    """Framework and mode of a name like "PyTorch eager contiguous"."""
    framework = next(f for f in FRAMEWORKS if name.startswith(f + " "))
    return framework, name.removeprefix(framework + " ")


def python(cache, framework):
    return os.path.join(cache, FRAMEWORKS[framework][0], "bin", "python")


def worker(cache, framework, what=""):
    return [python(cache, framework), os.path.join(HERE, FRAMEWORKS[framework][1] + what + ".py")]


class Peer:
    """A process that answers lines of JSON with lines of JSON. While nothing is asked it is stopped, so that no thread of it spins."""

    def __init__(self, command, job, folder, tuned=True):
        self.log = tempfile.TemporaryFile("w+")
        self.child = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
                           env=PLAIN | {"TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "inductor")} | (TUNED_MALLOC if tuned else {}))
        self.memory = 0
        self.say(job)

    def signal(self, number):
        """To the process and those that it started. Popen's own send_signal may reap the child, and its memory would not be known."""
        if self.child.returncode is None:
            os.killpg(self.child.pid, number)

    def kill_after(self, seconds):
        watch = threading.Timer(seconds, self.signal, [signal.SIGKILL])
        watch.start()
        return watch

    def say(self, document):
        try:
            self.child.stdin.write(json.dumps(document) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # hear tells why

    def hear(self):
        watch = self.kill_after(PATIENCE)
        try:
            line = self.child.stdout.readline()
        finally:
            watch.cancel()
        answer = parse(line) if line else {"error": f"no answer (it may take {PATIENCE} s)"}
        if "error" in answer:
            self.end()
            self.log.seek(0)
            print(self.log.read()[-2000:], file=sys.stderr)
            raise Failed(answer["error"])
        return answer

    def ask(self, document):
        self.signal(signal.SIGCONT)
        self.say(document)
        return self.hear()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def end(self, patience=20):
        """Ends the process; memory is then the most that it had."""
        if self.child.returncode is not None:
            return
        self.signal(signal.SIGCONT)
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # what was not read before
        watch = self.kill_after(patience)
        _, status, usage = os.wait4(self.child.pid, 0)
        watch.cancel()
        self.child.returncode, self.memory = os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.end(20 if kind is None else 1)
