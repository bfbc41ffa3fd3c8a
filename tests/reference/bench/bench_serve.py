"""What a page that is looked at costs a run: the same plan alone and beside `fmrai serve` under so many requests a second.

    python bench_serve.py PROGRAM PLAN [--rate 100] [--rounds 3]

PROGRAM is fmrai, built with --release; PLAN one that takes half a minute or more, whose relative paths start from its own folder. Each round runs
it twice, in turns: alone, and with a server that is asked for the list of runs, the document and the events of the run that is going on. Prints JSON:
seconds of each run, their ratio by medians, requests that were answered (and how: by status), and the time of an answer in milliseconds (median, 99th
percentile). Needs Python alone. Not run in CI.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

WORKERS = 8


class Load(threading.Thread):
    """One of the visitors: asks at an even pace until it is told to stop."""

    def __init__(self, address, pause, offset):
        super().__init__(daemon=True)
        self.address, self.pause, self.offset = address, pause, offset
        self.stopped = threading.Event()
        self.times, self.answers = [], Counter()

    def run(self):
        next_at = time.monotonic() + self.offset
        paths = ["api/runs", "api/document", "api/questions"]
        run, asked = None, 0
        while not self.stopped.wait(max(0.0, next_at - time.monotonic())):
            next_at += self.pause
            path = paths[asked % len(paths)] if run else "api/runs"
            asked += 1
            query = urllib.parse.urlencode({"run": run} if path != "api/runs" else {})
            began = time.monotonic()
            try:
                with urllib.request.urlopen(f"{self.address}{path}?{query}", timeout=10) as answer:
                    content = answer.read()
                    self.answers[answer.status] += 1
                if path == "api/runs" and run is None:
                    runs = json.loads(content)
                    runs = runs.get("runs", runs) if isinstance(runs, dict) else runs
                    run = next((one.get("name") or one.get("id") for one in runs), None)
            except urllib.error.HTTPError as error:
                self.answers[error.code] += 1
            except OSError as error:
                self.answers[type(error).__name__] += 1
            self.times.append(1000 * (time.monotonic() - began))


def run(program, plan, output):
    began = time.monotonic()
    subprocess.run([program, "run", plan, "--output", output, "--force"], check=True, capture_output=True)
    return time.monotonic() - began


def served(program, plan, folder, rate):
    output = folder / "beside"
    output.mkdir(exist_ok=True)
    server = subprocess.Popen([program, "serve", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    visitors = []
    try:
        address = server.stdout.readline().strip().rstrip("/") + "/"
        visitors = [Load(address, WORKERS / rate, i / rate) for i in range(WORKERS)]
        for visitor in visitors:
            visitor.start()
        seconds = run(program, plan, output)
    finally:
        for visitor in visitors:
            visitor.stopped.set()
        for visitor in visitors:
            visitor.join(15)
        server.terminate()
        server.wait()
    times = sorted(time for visitor in visitors for time in visitor.times)
    answers = sum((visitor.answers for visitor in visitors), Counter())
    return seconds, times, answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("plan")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    program, plan = str(Path(args.program).resolve()), str(Path(args.plan).resolve())
    alone, beside, times, answers = [], [], [], Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run(program, plan, folder / "warm")
        for _ in range(args.rounds):
            alone.append(run(program, plan, folder / "alone"))
            seconds, took, answered = served(program, plan, folder, args.rate)
            beside.append(seconds)
            times += took
            answers += answered
    times.sort()
    json.dump(
        {
            "seconds_alone": alone,
            "seconds_beside": beside,
            "ratio": statistics.median(beside) / statistics.median(alone),
            "asked_a_second": len(times) / sum(beside),
            "answers": {str(key): count for key, count in answers.items()},
            "milliseconds": {"median": statistics.median(times), "p99": times[int(0.99 * (len(times) - 1))]},
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
