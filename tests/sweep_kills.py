#!/usr/bin/env python3
"""Kills shards of a sweep at random instants, four at once on one folder, and compares every result with a sweep that was left alone.

    python3 tests/sweep_kills.py --count 100 java -jar wan-attn.jar

Every shard that was killed is started again, at once or a little later, until the sweep is complete; then the next sweep begins, until
there were as many kills as asked for. One run of each sweep is poisoned: it has to end as failed, with its error. Before the last
sweep the folder is on a disk that is too small, if this user may mount one: the sweep has to stop, and to go on when there is room.
One line per sweep, figures at the end; exit 1 on any difference.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SHARDS = 4


def sweep(seeds):
    return {
        "base": {"video": {"latent_height": 8, "latent_width": 8, "num_frames": 9},
                 "sampler": {"steps": [1000, 750, 500, 250], "num_frame_per_block": 3, "independent_first_frame": False},
                 "capture": {"layers": [0, 3], "passes": "all", "quantities": ["frame-logits", "token-logits"]},
                 "output": {"complete": True}},
        "axes": [{"field": "noise.seed", "name": "seed", "values": list(range(seeds))},
                 {"points": [{"label": "plain"}, {"label": "cut", "edits": [{"do": "zero", "heads": "3:5"}]},
                             {"label": "streaming", "policy": "streaming-llm"}]}],
    }


def poisoned(spec, folder):
    spec = json.loads(json.dumps(spec))
    spec["axes"][0]["values"].append(0)
    seeds = spec["axes"][0]["values"]
    spec["axes"][0] = {"name": "seed", "points": [{"label": str(i), "set": {"noise.seed": seed}} for i, seed in enumerate(seeds[:-1])]
                       + [{"label": "poisoned", "set": {"prompt.embeddings": os.path.join(folder, "missing.safetensors")}}]}
    return spec


def start(command, file, out, shard, log):
    return subprocess.Popen(command + ["sweep", file, "--output", out, "--shard", f"{shard}/{SHARDS}", "--threads", "1", "--log", log, "-q"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def results(out):
    runs = os.path.join(out, "runs")
    found = {}
    for name in os.listdir(runs) if os.path.isdir(runs) else []:
        if name.endswith(".safetensors"):
            with open(os.path.join(runs, name), "rb") as file:
                found[name] = file.read()
    return found


def events(logs):
    all_events = []
    for log in logs:
        if os.path.exists(log):
            with open(log) as file:
                for line in file:
                    try:
                        all_events.append(json.loads(line))
                    except ValueError:
                        pass  # its writer was killed
    return all_events


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    wrong, kills, sweeps, rerun = 0, 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="sweeps") as folder:
        spec = poisoned(sweep(given.seeds), folder)
        file = os.path.join(folder, "sweep.json")
        with open(file, "w") as out:
            json.dump(spec, out)
        whole = os.path.join(folder, "whole")
        begun = time.time()
        subprocess.run(given.command + ["sweep", file, "--output", whole, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = results(whole)
        print(f"undisturbed: {len(expected)} results in {time.time() - begun:.1f} s", flush=True)
        if len(expected) != 3 * given.seeds:
            raise SystemExit(f"expected {3 * given.seeds} results")
        while kills < given.count:
            out = os.path.join(folder, f"sweep{sweeps}")
            logs = [os.path.join(folder, f"log{sweeps}.{shard}") for shard in range(SHARDS)]
            shards, due, codes, mine = {}, {}, {}, 0
            for shard in range(SHARDS):
                shards[shard] = start(given.command, file, out, shard, logs[shard])
                due[shard] = time.time() + rng.uniform(1.5, 8)
            begun = time.time()
            while shards:
                time.sleep(0.02)
                for shard, process in list(shards.items()):
                    if process.poll() is not None:
                        codes[shard] = process.returncode
                        del shards[shard]
                    elif kills < given.count and time.time() > due[shard]:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()
                        kills += 1
                        mine += 1
                        if rng.random() < 0.5:
                            time.sleep(rng.uniform(0, 0.5))
                        shards[shard] = start(given.command, file, out, shard, logs[shard])
                        due[shard] = time.time() + rng.uniform(1.5, 8)
                if time.time() - begun > 600:
                    raise SystemExit("a sweep did not end within 600 s")
            found, done = results(out), [e["run"] for e in events(logs) if e["event"] == "run_done"]
            same = found == expected
            records = [json.load(open(os.path.join(out, "runs", name))) for name in os.listdir(os.path.join(out, "runs")) if name.endswith(".json")]
            failed = [record for record in records if record["state"] == "failed"]
            poison = len(failed) == 3 and all("missing.safetensors" in record["error"] for record in failed)
            left = os.listdir(os.path.join(out, "workers")) + os.listdir(os.path.join(out, "claims"))
            rerun += len(done) - len(set(done))
            ok = same and poison and not left and set(codes.values()) == {1}
            wrong += not ok
            print(f"sweep {sweeps}: {mine} kills, {time.time() - begun:.1f} s, {len(found)} results "
                  f"{'the same' if same else 'DIFFERENT'}, poisoned runs {'recorded' if poison else 'NOT RECORDED: ' + str(failed)}, "
                  f"{len(done) - len(set(done))} done twice{', LEFT ' + str(left) if left else ''}, exit codes {sorted(set(codes.values()))}", flush=True)
            shutil.rmtree(out)
            sweeps += 1
        wrong += full_disk(given.command, file, folder, expected)
    print(f"{kills} kills in {sweeps} sweeps, {wrong} wrong, {rerun} runs done twice")
    return 1 if wrong else 0


def full_disk(command, file, folder, expected):
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    kib = sum(map(len, expected.values())) // 1024 // 2
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", disk], stderr=subprocess.DEVNULL).returncode != 0:
        print("full disk: LEFT OUT, this user may not mount one")
        return 0
    try:
        out = os.path.join(disk, "sweep")
        full = subprocess.run(command + ["sweep", file, "--output", out, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = len(results(out))
        subprocess.run(["mount", "-o", f"remount,size={8 * kib}k", disk], check=True)
        subprocess.run(command + ["sweep", file, "--output", out, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        same = results(out) == expected
        said = full.stderr.strip().splitlines()[-1] if full.stderr.strip() else ""
        print(f"full disk: stopped with {full.returncode} after {before} results ({said}); with room: {'the same' if same else 'DIFFERENT'}")
        return int(not same or full.returncode != 1 or not 0 < before < len(expected))
    finally:
        subprocess.run(["umount", disk])


if __name__ == "__main__":
    sys.exit(main())
