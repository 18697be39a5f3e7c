"""Programs that a measurement starts, waits for and ends."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

START_SECONDS = 20


class Program:
    """A running program; its output goes to a file, and a line of it says that it is ready."""

    def __init__(self, argv, log, ready=None, env=None, namespace=None, pass_fds=()):
        self.name = os.path.basename(argv[0])
        self.log = log
        if namespace is not None:
            argv = ["nsenter", f"--net=/proc/{namespace}/ns/net", "--", *argv]
        # Not by way of a pipe: whoever read it would take a processor's time from what is measured, for each line.
        with open(log, "ab") as said:
            self._process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=pass_fds)
        self.pid = self._process.pid
        if ready is not None:
            self.wait_for(ready)

    def signal(self, signal_number):
        self._process.send_signal(signal_number)

    def ask(self, signal_number, answer):
        """Sends a signal, and waits for the line that answers it."""
        start = os.path.getsize(self.log)
        self.signal(signal_number)
        self.wait_for(answer, start)

    def after(self, command, answer):
        """Runs a command, and waits for the line that this program has to say to it."""
        start = os.path.getsize(self.log)
        run(command)
        self.wait_for(answer, start)

    def wait_for(self, ready, start=0):
        until = time.monotonic() + START_SECONDS
        with open(self.log, "rb") as log:
            log.seek(start)
            said = b""
            while not re.search(ready, said):
                if self._process.poll() is not None or time.monotonic() > until:
                    self.end()
                    raise SystemExit(f"{self.name} did not become ready; its last lines:\n{self.tail()}")
                time.sleep(0.002)
                said += log.read()

    def tail(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-20:])

    def end_of_itself(self, seconds):
        """Waits until it has ended; fails if it did not end well."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = "still running"
        if status != 0:
            raise SystemExit(f"{self.name} ended badly ({status}); its last lines:\n{self.tail()}")

    def end(self):
        """Asks it to end, and insists after five seconds."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Programs:
    """All that one measurement has started; ended in reverse order on the way out."""

    def __init__(self, work):
        self._work = work
        self._all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self._all):
            program.end()

    def start(self, argv, **how):
        log = os.path.join(self._work, f"{len(self._all)}-{os.path.basename(argv[0])}.log")
        program = Program(argv, log, **how)
        self._all.append(program)
        return program


def arguments(command, text):
    """The options that every command has."""
    parser = argparse.ArgumentParser(prog=f"tests/bench/{command}", description=text)
    parser.add_argument("--loopkdc", type=os.path.abspath, metavar="BIN", help="the program to measure (default: builds this tree's)")
    parser.add_argument("--work", required=True, help=argparse.SUPPRESS)
    return parser


def run(argv, **how):
    """A command that has to succeed; what it printed is shown only where it does not."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **how)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout.decode(errors='replace')}")
    return done.stdout


def timed(argv, text, env):
    """Milliseconds from before the fork to the end of the whole client process."""
    # Files rather than pipes: nothing of this process has to run while the client does.
    with tempfile.TemporaryFile() as typed, tempfile.TemporaryFile() as shown:
        typed.write(text)
        typed.seek(0)
        before = time.perf_counter()
        client = subprocess.Popen(argv, env=env, stdin=typed, stdout=shown, stderr=shown)
        status = client.wait()
        after = time.perf_counter()
        if status != 0:
            shown.seek(0)
            raise SystemExit(f"{' '.join(argv)} failed:\n{shown.read().decode(errors='replace')}")
    return (after - before) * 1000


def go_first():
    """Before what else runs here: all that is started from now on inherits it, each side of a comparison alike."""
    os.setpriority(os.PRIO_PROCESS, 0, -15)


class Processors:
    """How busy this machine was meanwhile: figures taken beside a build are noise, and have to say so."""

    def __init__(self):
        self._before = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat") as stat:
            # user nice system idle iowait irq softirq steal: proc(5)
            return [int(word) for word in stat.readline().split()[1:9]]

    def disturbed(self, own_seconds):
        """Which share of the processors went to the host and to what else runs here, beside these seconds of ours."""
        spent = [after - before for before, after in zip(self._before, self._read())]
        total = sum(spent) or 1
        own = own_seconds * os.sysconf("SC_CLK_TCK")
        return max(0.0, total - spent[3] - spent[4] - own) / total

    def meanwhile(self):
        spent = [after - before for before, after in zip(self._before, self._read())]
        total = sum(spent) or 1
        idle, stolen = spent[3] + spent[4], spent[7]
        return f"processors meanwhile {100 * idle // total} % idle, {100 * stolen / total:.1f} % stolen by the host"
