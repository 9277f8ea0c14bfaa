#!/usr/bin/env python3
"""Kills runs at random instants of their computing, resumes them, and compares every byte with a run that was left alone.

    python3 tests/kill_and_resume.py --count 100 java -jar wan-attn.jar

The command is a launcher: the program that works is its child. Every combination of SIGKILL, SIGTERM and SIGINT with launcher,
child and both comes in turn. Before each kill an older result lies under the run's name; it has to stay as it was until the
resumed run replaces it. Nothing may be left behind in the end. One line per kill, figures at the end; exit 1 on any difference.

Starting a JVM takes longer than a tiny run, so an instant of the whole process would mostly be one before the first pass. It is drawn
from the seconds between the start of a run's journal and its end instead, as they were in the run that was left alone, and met by
waiting for the last place to go on from before it and then for the rest, or for the next place if that is there first: so it is the same part of the run however busy the machine is.
"""

import argparse
import collections
import filecmp
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

COMMON = ["--pass", "all", "--complete"]
RUNS = [
    [*COMMON, "--what", "frame-logits,frame-mass,key-logits", "--layer", "0,3"],
    [*COMMON, "--what", "frame-logits,token-logits", "--layer", "3", "--head", "0",
     "--local-attn-size", "6", "--sink-size", "2"],
    [*COMMON, "--what", "frame-logits,key-logits", "--layer", "1", "--sampler", "unipc",
     "--sample-steps", "20", "--guide-scale", "5"],
    [*COMMON, "--what", "frame-logits", "--layer", "0,3", "--cache-policy", "reward-forcing", "--ablate", "3:0"],
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


def places(target):
    """How many places to go on from a run has so far; None while it has no journal."""
    try:
        with open(os.path.join(target + ".partial", "journal"), "rb") as file:
            return file.read().count(b'{"pass"')
    except OSError:
        return None


def watch(command, target):
    """Runs a command; returns the seconds from its journal's start to each of its places, and to its end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    instants, start = [], None
    while process.poll() is None:
        found = places(target)
        if found is not None:
            start = start or time.time()
            while len(instants) <= found:
                instants.append(time.time() - start)
        time.sleep(0.005)
    if process.returncode != 0:
        raise SystemExit(process.stderr.read())
    return instants, time.time() - start


def wait_for(process, target, place, seconds=float("inf")):
    """Waits until a run has a place, or is over, or for some seconds."""
    end = time.time() + seconds
    while process.poll() is None and time.time() < end and (places(target) is None or places(target) < place):
        time.sleep(0.005)


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **more)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latent-size", default="4x4", help="the larger, the longer the runs (default: %(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    # A shell starts what runs in the background with SIGINT ignored, and a JVM that inherits that ignores it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(given.seed)
    runs = [[*options, "--latent-size", given.latent_size] for options in RUNS]
    wrong = 0
    gone_on = [collections.Counter() for _ in runs]
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        work = os.path.join(folder, "work")
        whole, timing = [], []
        for number, options in enumerate(runs):
            # Where the killed runs will write: a result may say where it was made.
            os.mkdir(work)
            target = os.path.join(work, f"run{number}.safetensors")
            timing.append(watch(given.command + ["extract", *options, "-o", target, "-q"], target))
            print(f"run {number}: {timing[-1][1]:.2f} s of computing, {len(timing[-1][0]) - 1} places: {' '.join(options)}", flush=True)
            whole.append(os.path.join(folder, f"whole{number}.safetensors"))
            os.rename(target, whole[-1])
            os.rmdir(work)
        older = os.path.join(folder, "older.safetensors")
        done = run(given.command + ["extract", "--layer", "1", "--num-frames", "1", "-o", older, "-q"])
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        older_bytes, whole_bytes = open(older, "rb").read(), [open(each, "rb").read() for each in whole]
        for kill in range(given.count):
            which = kill % len(runs)
            number, whom = SIGNALS[kill % 3], WHOM[kill // 3 % 3]
            os.mkdir(work)
            target = os.path.join(work, f"run{which}.safetensors")
            shutil.copyfile(older, target)
            command = given.command + ["extract", *runs[which], "-o", target, "-q"]
            instants, end = timing[which]
            # Nine of ten are between the first place to go on from and the last, the others anywhere.
            instant = rng.uniform(0, end) if kill % 10 == 9 else rng.uniform(instants[1], instants[-1])
            before = max(place for place, at in enumerate(instants) if at <= instant)
            launcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for(launcher, target, before)
            wait_for(launcher, target, before + 1, instant - instants[before])
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
            found = places(target)
            resumed = run(command[:-1] + ["--resume"])
            behind = re.search(r"continuing after (.*)", resumed.stderr)
            behind = behind.group(1) if behind else "nothing"
            gone_on[which][found] += 1
            same = resumed.returncode == 0 and filecmp.cmp(target, whole[which], shallow=False)
            left = sorted(os.listdir(work))
            clean = left == [os.path.basename(target)]
            wrong += not (intact and same and clean)
            print(f"{kill + 1:4} {number.name} to {whom:8} after {instant:5.2f} s of {end:5.2f}, exit {code:4}, "
                  f"went on from place {found} of {len(instants) - 1}, behind {behind}: "
                  f"{'same' if same else 'DIFFERENT'}{'' if intact else ', OLDER RESULT LOST'}{'' if clean else f', LEFT {left}'}",
                  flush=True)
            if not same:
                print(resumed.stderr, flush=True)
            shutil.rmtree(work)
    print(f"{given.count} kills, {wrong} wrong")
    for which, counts in enumerate(gone_on):
        print(f"run {which}, kills that left it at place: "
              + ", ".join(f"{'over' if place is None else place}: {count}" for place, count in
                          sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or 0))))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
