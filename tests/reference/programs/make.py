"""Exported programs with inputs and what the module itself makes of them.

    python make.py [OUT] [--only NAME ...]                  the committed selection; OUT defaults to the folder of this script
    python make.py --all OUT [--only NAME ...] [--jobs N]    everything that can be exported, several hundred programs

Beside each NAME.pt2 lies NAME.safetensors with its cases: `c0.in.00.PATH` is the first input of case 0, `c0.out.01` its second
output; what is no tensor is JSON in the metadata under the same kind of key.
"""

import argparse
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cases
import families
import nets
import special
import torch

# Seconds that one program may take.
PATIENCE = 240


def selection():
    """The committed programs."""
    for name, (make, variants) in special.PROGRAMS.items():
        yield from ((name, make, variant) for variant in variants)
    for name, make in nets.NETS.items():
        yield name, make, ""
    for name, make, variants in nets.MODELS:
        yield from ((name, make, variant) for variant in variants)


def everything():
    """Names of all programs, each with a function that makes it and its variant."""
    for name, make, variants in [*nets.MORE, *((name, make, ["core"]) for name, make in nets.NETS.items())]:
        yield from ((name, make, variant) for variant in variants)
    for variant, suffix, attention in [("", "", "sdpa"), ("core", "", "sdpa"), ("", "_eager", "eager")]:
        for family in families.families():
            yield family + suffix, lambda f=family, a=attention: families.program(f, a), variant


def one(folder, name, make, variant, unchecked=False):
    """Makes one program; what goes wrong is a line, not the end."""
    torch.manual_seed(cases.seed_of(name))
    start = time.time()
    try:
        line = cases.write(folder, name, make(), variant, unchecked)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        line = f"{name}{'__' + variant if variant else ''}: FAILED {type(error).__name__}: {text}"
        if os.environ.get("TRACE"):
            traceback.print_exc()
    return f"{line} ({time.time() - start:.0f} s)"


def warm():
    """Has all that exporting imports imported, once for all processes to come."""
    import io

    for name in ("cond", "nested_cond"):
        exported = cases.export(special.PROGRAMS[name][0](), "core")
        torch.export.save(exported, io.BytesIO())
    cases.export(nets.bert(), "")
    cases.export(nets.llama(), "core")


def apart(folder, programs, jobs):
    """Each program in a process of its own, `jobs` at a time."""
    warm()
    running = {}
    for name, make, variant in [*programs, *[(None, None, None)] * jobs]:
        while len(running) >= jobs or (name is None and running):
            process, _ = os.wait()
            running.pop(process, None)
        if name is None:
            break
        process = os.fork()
        if process == 0:
            signal.alarm(PATIENCE)
            print(one(folder, name, make, variant), flush=True)
            os._exit(0)
        running[process] = name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--all", type=Path, metavar="OUT")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--missing", action="store_true", help="only those that are not there yet")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = options.all or options.out or HERE
    programs = list(everything() if options.all else selection())
    if options.only:
        programs = [p for p in programs if p[0] in options.only]
    if options.missing:
        made = {path.stem for path in folder.glob("*.pt2")}
        programs = [p for p in programs if cases.full_name(p[0], p[2]) not in made]
    apart(folder, programs, options.jobs)


if __name__ == "__main__":
    main()
