#!/usr/bin/env python3
"""What viewers of alexnet train --live cost: processor time of training with 50 of them, 5 of whom read nothing, beside
that without --live, in turn. Usage: scripts/live_cost.py [PAIRS [EPOCHS [train's own arguments...]]]; needs bin/alexnet.
"""
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

VIEWERS, STUCK = 50, 5


def look(port, over, count):
    """Connects the viewers and reads what they are sent, but for those that are stuck. count: bytes, and viewers that
    were told something.
    """
    told = set()
    ask = b"GET /events HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port
    every = selectors.DefaultSelector()

    def connect(stuck):
        s = socket.socket()
        if stuck:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        s.sendall(ask)
        if not stuck:
            every.register(s, selectors.EVENT_READ)
        return s

    held = [connect(i < STUCK) for i in range(VIEWERS)]
    while not over.is_set():
        for key, _ in every.select(0.2):
            try:
                got = key.fileobj.recv(1 << 20)
            except ConnectionError:  # cut off at the end
                got = b""
            count[0] += len(got)
            if b"event: run" in got:
                told.add(key.fd)
                count[1] = len(told)
            if not got:
                every.unregister(key.fileobj)
    for s in held:
        s.close()


def train(program, arguments, live):
    """Trains, and gives the seconds of processor time, and what look counts."""
    over, count, viewers = threading.Event(), [0, 0], None
    with tempfile.TemporaryDirectory() as out:
        command = [program, "train", "--out", os.path.join(out, "run"), *arguments] + (["--live"] if live else [])
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in p.stderr:
            if at := re.search(r"live: http://localhost:(\d+)/", line):
                viewers = threading.Thread(target=look, args=(int(at[1]), over, count))
                viewers.start()
        _, status, used = os.wait4(p.pid, 0)
        over.set()
        if viewers:
            viewers.join()
        if status or live and not viewers:
            sys.exit(f"{' '.join(command)}: status {status}")
        if live and count[1] != VIEWERS - STUCK:
            sys.exit(f"{count[1]} viewers were told something, want {VIEWERS - STUCK}")
    return used.ru_utime + used.ru_stime, count


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    epochs = sys.argv[2] if len(sys.argv) > 2 else "30"
    program = os.path.abspath("bin/alexnet")
    ratios = []
    for i in range(pairs):
        order = [False, True] if i % 2 == 0 else [True, False]
        got = {live: train(program, ["--epochs", epochs, *sys.argv[3:]], live) for live in order}
        ratios.append(got[True][0] / got[False][0])
        print(f"without {got[False][0]:.2f} s, with {got[True][0]:.2f} s ({got[True][1][0] / 1e6:.1f} MB sent): "
              f"{ratios[-1]:.4f}", flush=True)
    print(f"median {statistics.median(ratios):.4f}, from {min(ratios):.4f} to {max(ratios):.4f}")


main()
