#!/usr/bin/env python3
"""Runs a sweep on a Spark of its own, one master and two workers on loopback, kills a worker in the middle, and compares with wan-attn sweep.

    mvn -q -DskipTests package && mvn -q -f spark/pom.xml -DskipTests package
    python3 spark/tests/standalone.py

The worker is killed with its executor as soon as a quarter of the runs is done, and nothing takes its place. Two runs are poisoned: they have to
end as failed, with their error. Every result has to have the bytes of wan-attn sweep's. One line; exit 1 on any difference.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOCAL = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_PUBLIC_DNS": "127.0.0.1", "SPARK_SCALA_VERSION": "2.13"}


def sweep(folder, seeds):
    return {
        "base": {"video": {"latent_height": 8, "latent_width": 8, "num_frames": 9},
                 "sampler": {"steps": [1000, 750, 500, 250], "num_frame_per_block": 3, "independent_first_frame": False},
                 "capture": {"layers": [0, 3], "passes": "all", "quantities": ["frame-logits", "token-logits"]},
                 "output": {"complete": True}},
        "axes": [{"name": "seed", "points": [{"label": str(i), "set": {"noise.seed": i}} for i in range(seeds)]
                  + [{"label": "poisoned", "set": {"prompt.embeddings": os.path.join(folder, "missing.safetensors")}}]},
                 {"points": [{"label": "plain"}, {"label": "cut", "edits": [{"do": "zero", "heads": "3:5"}]}]}],
    }


def jdk():
    """The home of the Java that wan-attn.jar finds: Spark has to run on the same."""
    said = subprocess.run(["java", "-jar", os.path.join(ROOT, "wan-attn.jar"), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return re.search(r"^Java .* in (.*)$", said.stdout, re.M).group(1)


class Cluster:
    """A master and workers of one core each, ended with everything that they started."""

    def __init__(self, folder, workers):
        self.folder = folder
        self.home = os.path.join(folder, "spark")
        self.jdk = jdk()
        jars = os.path.join(self.home, "jars")
        os.makedirs(jars)
        with open(os.path.join(ROOT, "spark", "target", "classpath")) as file:
            for jar in file.read().strip().split(os.pathsep):
                if "wan-attn" not in jar and "junit" not in jar:
                    os.symlink(jar, os.path.join(jars, os.path.basename(jar)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"spark://127.0.0.1:{port}"
        self.processes = []
        self.start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
        self.wait("master", "I have been elected leader")
        self.workers = [self.worker(i) for i in range(workers)]
        for i in range(workers):
            self.wait(f"worker{i}", "Successfully registered with master")

    def command(self, *words):
        return [os.path.join(self.jdk, "bin", "java"), "-Xmx512m", "-cp", os.path.join(self.home, "jars", "*"), *words]

    def start(self, name, *words):
        with open(os.path.join(self.folder, name + ".log"), "w") as log:
            process = subprocess.Popen(self.command(*words), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                       env=os.environ | LOCAL | {"SPARK_HOME": self.home, "JAVA_HOME": self.jdk}, cwd=self.folder)
        self.processes.append(process)
        return process

    def worker(self, i):
        return self.start(f"worker{i}", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
                          "--work-dir", os.path.join(self.folder, f"work{i}"), "--webui-port", "0", self.url)

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), errors="replace") as file:
            return file.read()

    def wait(self, name, text):
        for _ in range(600):
            if text in self.log(name):
                return
            time.sleep(0.1)
        raise SystemExit(f"{name} did not say \"{text}\":\n" + self.log(name)[-3000:])

    def submit(self, name, *words):
        conf = ["--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.memory=600m"]
        return self.start(name, "org.apache.spark.deploy.SparkSubmit", "--master", self.url, *conf,
                          os.path.join(ROOT, "wan-attn-spark.jar"), *words)

    def kill_worker(self, i):
        """The worker and what it started: its executor lies in the same session."""
        os.killpg(self.workers[i].pid, signal.SIGKILL)
        self.workers[i].wait()

    def end(self):
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def results(out):
    runs = os.path.join(out, "runs")
    found = {}
    for name in os.listdir(runs) if os.path.isdir(runs) else []:
        if name.endswith(".safetensors"):
            with open(os.path.join(runs, name), "rb") as file:
                found[name] = file.read()
    return found


def records(out):
    runs = os.path.join(out, "runs")
    found = []
    for name in sorted(os.listdir(runs)) if os.path.isdir(runs) else []:
        if name.endswith(".json"):
            with open(os.path.join(runs, name)) as file:
                found.append(json.load(file))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spark-sweep") as folder:
        file = os.path.join(folder, "sweep.json")
        with open(file, "w") as out:
            json.dump(sweep(folder, given.seeds), out)
        alone = os.path.join(folder, "alone")
        wan = ["java", "-jar", os.path.join(ROOT, "wan-attn.jar"), "sweep", file, "--out", alone, "-q", "--no-dataset"]
        subprocess.run(wan, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = results(alone)
        if len(expected) != 2 * given.seeds:
            raise SystemExit(f"expected {2 * given.seeds} results of wan-attn sweep, got {len(expected)}")
        cluster = Cluster(folder, 2)
        try:
            return compare(cluster, file, os.path.join(folder, "out"), expected)
        finally:
            cluster.end()


def compare(cluster, file, out, expected):
    begun = time.time()
    driver = cluster.submit("driver", file, "--out", "file://" + out, "--retries", "1", "--frames")
    killed = None
    while driver.poll() is None:
        time.sleep(0.05)
        done = len(results(out))
        if killed is None and done >= len(expected) // 4:
            cluster.kill_worker(1)
            killed = done
        if time.time() - begun > 300:
            raise SystemExit("the sweep did not end within 300 s:\n" + cluster.log("driver")[-3000:])
    said = cluster.log("driver")
    found, wrote = results(out), records(out)
    failed = [record for record in wrote if record["state"] == "failed"]
    workers = {re.sub(r"-\d+$", "", record["worker"]) for record in wrote}
    checks = {
        "a worker was killed before the end": killed is not None and killed < len(expected),
        "the results have the bytes of wan-attn sweep's": found == expected,
        "two poisoned runs are recorded": len(failed) == 2 and all("missing.safetensors" in record["error"] for record in failed),
        "every run is recorded": len(wrote) == len(expected) + 2,
        "two executors took part": len(workers) >= 2,
        "the program ends with 1 for the failed runs": driver.returncode == 1,
        "it says so in its last lines": f"{len(expected)} of {len(expected) + 2} runs done, 2 failed, 0 left" in said,
        "the tables are there": all(os.path.exists(os.path.join(out, "dataset", t + ".parquet")) for t in ("runs", "heads", "frames")),
        "nothing unfinished is left": not [name for _, _, names in os.walk(out) for name in names if name.endswith((".tmp", ".crc"))],
    }
    for what, holds in checks.items():
        if not holds:
            print("WRONG: " + what, flush=True)
    if not all(checks.values()):
        print(said[-4000:])
        return 1
    print(f"{len(found)} runs in {time.time() - begun:.1f} s, worker killed after {killed}, results the same, poisoned runs recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
