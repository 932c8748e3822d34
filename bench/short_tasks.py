"""How many short commands end in a second, side by side with other ways to run them.

    ./scripts/bench [TASKS [ROUNDS]]

Each way runs the same number of `true` on four slots; rounds are interleaved, so that whatever else the
machine does hits all of them. Printed are the median rate, its range, and the ratio to `xargs -P 4`, which
does nothing but spawn.
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

TASKS = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
MITO = sys.argv[1]
SLOTS = 4
ADMIN = "mitosis_admin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def seconds(command, **rest):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **rest)
    return time.monotonic() - start


def xargs():
    numbers = "\n".join(map(str, range(TASKS)))
    return seconds(["xargs", "-P", str(SLOTS), "-n", "1", "true"], input=numbers.encode())


def gnu_parallel():
    numbers = "\n".join(map(str, range(TASKS)))
    return seconds(["parallel", "-j", str(SLOTS), "true"], input=numbers.encode())


class Mito:
    """A coordinator and a worker with four slots."""

    def __init__(self, stack, db_url, folder):
        self.folder = folder
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        config = folder / "config.toml"
        config.write_text(
            f'[coordinator]\nbind = "127.0.0.1:{port}"\ndb_url = "{db_url}"\n'
            f's3_url = "file://{folder}/objects"\n'
            f'[worker]\ncoordinator_addr = "{self.address}"\nuser = "{ADMIN}"\npassword = "{ADMIN}"\nretain = true\n'
        )
        self.start(stack, ["coordinator", "--config", str(config)])
        self.token = self.wait_for_login()
        self.start(stack, ["worker", "--config", str(config), "--slots", str(SLOTS)])
        self.run_some(SLOTS * 10)

    def start(self, stack, args):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "RUST_LOG": "warn"}
        process = subprocess.Popen(
            [MITO, *args], env=environment, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)

    def post(self, path, body):
        headers = {"content-type": "application/json"}
        if path != "/login":
            headers["authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def wait_for_login(self):
        digest = list(hashlib.md5(ADMIN.encode()).digest())
        for _ in range(200):
            try:
                body = {"username": ADMIN, "md5_password": digest, "retain": True}
                return self.post("/login", body)["token"]
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the coordinator does not start")

    def run_some(self, count):
        """Seconds from the submission to the last end."""
        label = f"run-{time.monotonic_ns()}"
        spec = {"args": ["true"], "envs": {}, "resources": [], "terminal_output": False, "watch": None}
        task = {
            "group_name": ADMIN, "tags": [], "labels": [label], "timeout": "60s", "priority": 0, "task_spec": spec,
        }
        start = time.monotonic()
        self.post("/tasks/submit", {"tasks": [task] * count})
        over = {"labels": [label], "exit_status": "=0", "count": True}
        while self.post("/tasks/query", over)["count"] < count:
            time.sleep(0.05)
        return time.monotonic() - start


def postgres(stack, folder):
    """A private server with the settings it comes with, and one database in it."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data, port = folder / "postgres", free_port()
    owner = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        folder.chmod(0o755)
        data.mkdir()
        os.chown(data, user.pw_uid, user.pw_gid)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    # Only this user, on the loopback interface, for as long as this runs.
    initdb = [binaries / "initdb", "-D", data, "-U", "bench", "--auth", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, **quiet, **owner)
    arguments = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "/tmp"]
    process = subprocess.Popen([binaries / "postgres", *arguments], **quiet, **owner)
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGINT)
    ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready).returncode != 0:
        time.sleep(0.05)
    return f"postgres://bench@127.0.0.1:{port}/postgres"


def main():
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ways = {"xargs -P 4": xargs}
        if shutil.which("parallel"):
            ways["GNU parallel"] = gnu_parallel
        (folder / "embedded").mkdir()
        (folder / "cluster").mkdir()
        embedded = Mito(stack, f"sqlite://{folder}/embedded/state.db", folder / "embedded")
        cluster = Mito(stack, postgres(stack, folder), folder / "cluster")
        ways["mito, embedded"] = lambda: embedded.run_some(TASKS)
        ways["mito, PostgreSQL"] = lambda: cluster.run_some(TASKS)
        rates = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rates[name].append(TASKS / way())
        ceiling = statistics.median(rates["xargs -P 4"])
        print(f"{TASKS} x true, {SLOTS} at once, {ROUNDS} rounds\n")
        print(f"{'way':<18}{'tasks/s':>9}{'least':>9}{'most':>9}{'ratio':>8}")
        for name, each in rates.items():
            middle = statistics.median(each)
            print(f"{name:<18}{middle:>9.0f}{min(each):>9.0f}{max(each):>9.0f}{middle / ceiling:>8.2f}")


main()
