#!/usr/bin/env python3
"""Runs a sweep on a Spark of its own, one master and two workers on loopback, kills a worker in the middle, and compares with wan-attn sweep.

    mvn -q -DskipTests package && mvn -q -f spark/pom.xml -DskipTests package
    python3 spark/tests/standalone.py

The worker is killed with its executor as soon as a quarter of the runs is done, and nothing takes its place. Two runs are poisoned: they have to
end as failed, with their error. Every result has to have the bytes of wan-attn sweep's, and so do the tables. In a second sweep the executor is killed
whenever it is at one of the runs: that one has to end as failed, and the others as they should. A line for each; exit 1 on any difference.
"""

import argparse
import glob
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
        self.local = os.path.join(folder, "local")
        os.mkdir(self.local)
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
                                       env=os.environ | LOCAL | {"SPARK_HOME": self.home, "JAVA_HOME": self.jdk, "SPARK_LOCAL_DIRS": self.local}, cwd=self.folder)
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

    def submit(self, name, *words, **more):
        conf = ["--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.memory=600m"]
        for key, value in more.items():
            conf += ["--conf", f"spark.{key.replace('_', '.')}={value}"]
        return self.start(name, "org.apache.spark.deploy.SparkSubmit", "--master", self.url, *conf,
                          os.path.join(ROOT, "wan-attn-spark.jar"), *words)

    def kill_executors(self, i):
        """The executors of a worker, which starts another one."""
        worker = str(self.workers[i].pid)
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat) as file:
                    if file.read().rsplit(")", 1)[1].split()[1] == worker:
                        os.kill(int(stat.split("/")[2]), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

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
        wan_sweep(file, alone)
        expected = results(alone)
        if len(expected) != 2 * given.seeds:
            raise SystemExit(f"expected {2 * given.seeds} results of wan-attn sweep, got {len(expected)}")
        cluster = Cluster(folder, 2)
        try:
            return compare(cluster, file, os.path.join(folder, "out"), alone) or dying(cluster, folder)
        finally:
            cluster.end()


def table(out, name):
    with open(os.path.join(out, "dataset", name + ".parquet"), "rb") as file:
        return file.read()


def hold(checks, said):
    for what, holds in checks.items():
        if not holds:
            print("WRONG: " + what, flush=True)
    if not all(checks.values()):
        print(said[-4000:])
    return all(checks.values())


def wan_sweep(file, out):
    with open(os.path.join(ROOT, "spark", "target", "classpath")) as jars:
        duckdb = next(jar for jar in jars.read().strip().split(os.pathsep) if "duckdb" in jar)
    subprocess.run(["java", "-jar", os.path.join(ROOT, "wan-attn.jar"), "sweep", file, "--out", out, "-q", "--frames"],
                   env=os.environ | {"WAN_ATTN_JAVA_OPTS": "-Dwan.duckdb.jar=" + duckdb}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compare(cluster, file, out, alone):
    expected = results(alone)
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
        "the tables have the bytes of wan-attn sweep's": all(table(out, name) == table(alone, name) for name in ("heads", "frames")),
        "nothing unfinished is left": not [name for _, _, names in os.walk(out) for name in names if name.endswith((".tmp", ".crc"))],
    }
    if not hold(checks, said):
        return 1
    print(f"{len(found)} runs in {time.time() - begun:.1f} s, worker killed after {killed}, results and tables the same, poisoned runs recorded")
    return 0


def dying(cluster, folder):
    """One run in four takes so long that its executor can be killed while it is at it."""
    spec = sweep(folder, 3)
    spec["axes"] = [{"points": [{"label": "one", "set": {"noise.seed": 1}}, {"label": "long", "set": {"video.num_frames": 60}},
                                {"label": "two", "set": {"noise.seed": 2}}, {"label": "three", "set": {"noise.seed": 3}}]}]
    file, out = os.path.join(folder, "dying.json"), os.path.join(folder, "dying")
    with open(file, "w") as json_file:
        json.dump(spec, json_file)
    begun, kills = time.time(), 0
    driver = cluster.submit("dying", file, "--out", "file://" + out, "--no-dataset", task_maxFailures=2)
    while driver.poll() is None:
        time.sleep(0.05)
        for partial in glob.glob(os.path.join(cluster.local, "**", "*.safetensors.partial"), recursive=True):
            if frames(partial) == 60:
                cluster.kill_executors(0)
                kills += 1
                subprocess.run(["rm", "-rf", partial])
        if time.time() - begun > 300:
            raise SystemExit("the sweep did not end within 300 s:\n" + cluster.log("dying")[-3000:])
    said = cluster.log("dying")
    failed = [record for record in records(out) if record["state"] == "failed"]
    checks = {
        "three runs are done": len(results(out)) == 3,
        "the executor was killed twice": kills == 2,
        "the fourth is recorded": len(failed) == 1 and "its executor ended 2 times" in failed[0]["error"],
        "the program ends with 1": driver.returncode == 1 and "3 of 4 runs done, 1 failed, 0 left" in said,
    }
    if not hold(checks, said):
        print(failed)
        return 1
    print(f"4 runs in {time.time() - begun:.1f} s, executor killed {kills} times in one of them, which is recorded, the others done")
    return 0


def frames(partial):
    """Of the run that lies there unfinished; 0 if that is not told yet."""
    try:
        with open(os.path.join(partial, "journal"), errors="replace") as journal:
            return int(re.search(r'"num_frames":\s*"?(\d+)', journal.read()).group(1))
    except (OSError, AttributeError):
        return 0


if __name__ == "__main__":
    sys.exit(main())
