#!/usr/bin/env python3
"""Kills runs at random instants, resumes them, and compares every byte with a run that was left alone.

    python3 tests/kill_and_resume.py --count 100 java -jar wan-attn.jar

The command is a launcher: the program that works is its child. Every combination of SIGKILL, SIGTERM and SIGINT with launcher,
child and both comes in turn. Before each kill an older result lies under the run's name; it has to stay as it was until the
resumed run replaces it. Nothing may be left behind in the end. One line per kill, figures at the end; exit 1 on any difference.
"""

import argparse
import collections
import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SMALL = ["--latent-size", "4x4", "--pass", "all", "--complete"]
RUNS = [
    [*SMALL, "--what", "frame-logits,frame-mass,key-logits", "--layer", "0,3"],
    [*SMALL, "--what", "frame-logits,token-logits", "--layer", "3", "--head", "0,1", "--local-attn-size", "6", "--sink-size", "2"],
    [*SMALL, "--what", "frame-logits,key-logits", "--layer", "1", "--sampler", "unipc", "--sample-steps", "20", "--guide-scale", "5"],
    [*SMALL, "--what", "frame-logits", "--layer", "0,3", "--cache-policy", "reward-forcing", "--ablate", "3:0"],
]
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
WHOM = ["launcher", "child", "both"]


def children(pid):
    """The children of any of its threads: the JVM starts processes from whichever thread asks."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass
    return found


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def gone(pid, seconds=120):
    end = time.time() + seconds
    while time.time() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.02)
    raise SystemExit(f"process {pid} did not end within {seconds} s")


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **more)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    wrong = 0
    places = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        work = os.path.join(folder, "work")
        whole, seconds = [], []
        for number, options in enumerate(RUNS):
            # Where the killed runs will write: a result may say where it was made.
            os.mkdir(work)
            target = os.path.join(work, f"run{number}.safetensors")
            start = time.time()
            done = run(given.command + ["extract", *options, "-o", target, "-q"])
            if done.returncode != 0:
                raise SystemExit(done.stderr)
            seconds.append(time.time() - start)
            whole.append(os.path.join(folder, f"whole{number}.safetensors"))
            os.rename(target, whole[-1])
            os.rmdir(work)
        older = os.path.join(folder, "older.safetensors")
        done = run(given.command + ["extract", "--layer", "1", "--num-frames", "1", "-o", older, "-q"])
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        older_bytes, whole_bytes = open(older, "rb").read(), [open(each, "rb").read() for each in whole]
        for kill in range(given.count):
            which = kill % len(RUNS)
            number, whom = SIGNALS[kill % 3], WHOM[kill // 3 % 3]
            os.mkdir(work)
            target = os.path.join(work, f"run{which}.safetensors")
            shutil.copyfile(older, target)
            command = given.command + ["extract", *RUNS[which], "-o", target, "-q"]
            delay = rng.uniform(0, seconds[which] * 1.05)
            launcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            workers = children(launcher.pid)
            if whom in ("child", "both"):
                for worker in workers:
                    send(worker, number)
            if whom in ("launcher", "both"):
                send(launcher.pid, number)
            code = launcher.wait()
            for worker in workers:
                gone(worker)
            with open(target, "rb") as file:
                intact = file.read() in (older_bytes, whole_bytes[which])
            journal = os.path.join(target + ".partial", "journal")
            finished = 0
            if os.path.exists(journal):
                with open(journal, "rb") as file:
                    finished = file.read().count(b'{"pass"')
            places[finished] += 1
            resumed = run(command[:-1] + ["--resume"])
            same = resumed.returncode == 0 and filecmp.cmp(target, whole[which], shallow=False)
            left = sorted(os.listdir(work))
            clean = left == [os.path.basename(target)]
            wrong += not (intact and same and clean)
            print(f"{kill + 1:4} {number.name} to {whom:8} after {delay:5.2f} s, exit {code:4}, gone on from place {finished}: "
                  f"{'same' if same else 'DIFFERENT'}{'' if intact else ', OLDER RESULT LOST'}{'' if clean else f', LEFT {left}'}",
                  flush=True)
            if not same:
                print(resumed.stderr, flush=True)
            shutil.rmtree(work)
    print(f"{given.count} kills, {wrong} wrong; places to go on from at the kill: "
          + ", ".join(f"{count} x {finished}" for finished, count in sorted(places.items())))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
