"""The command ``fmrai-ray``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from ._program import ProgramError
from ._store import Store


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fmrai-ray", description="Runs plans on a cluster of Ray, or on this machine.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="runs a plan in shards and writes its results")
    run.add_argument("plan", type=Path, help="the plan, at the same path on every machine")
    run.add_argument("--shards", type=int, required=True, metavar="N", help="how many parts the data are cut into")
    run.add_argument("--address", help="of a cluster, such as ray://head:10001 [default: this machine]")
    run.add_argument("--cpus", type=int, default=1, metavar="N", help="cores of a shard, and its threads [default: 1]")
    run.add_argument("--gpus", type=float, default=0, metavar="N", help="GPUs of a shard [default: 0]")
    run.add_argument("--memory", type=int, metavar="BYTES", help="memory of a shard, which it keeps below")
    run.add_argument("--output", type=Path, metavar="DIR", help="folder for the results, instead of the plan's")
    run.add_argument("--work", type=Path, metavar="DIR", help="folder that all machines see [default: beside the output]")
    run.add_argument("--store", metavar="URL", help="object store for what parts have seen, such as s3://bucket/runs: what is there is not run again")
    run.add_argument("--program", metavar="FILE", help="the program fmrai, on every machine [default: where it is here]")
    run.add_argument("--force", action="store_true", help="write into an output folder that holds something else")
    return parser.parse_args()


def main() -> int:
    """Does what the command line says; gives the exit code."""
    given = _arguments()
    program = given.program or shutil.which("fmrai")
    if program is None:
        print("error: there is no program fmrai here; name it with --program", file=sys.stderr)
        return 2
    if given.shards < 1:
        print(f"error: --shards is {given.shards}, valid is 1 or more", file=sys.stderr)
        return 2
    try:
        from ._cluster import Job, run

        if given.store is not None:
            import fsspec  # noqa: F401
    except ImportError as error:
        print(f"error: Ray is not installed ({error}): pip install 'fmrai[ray]'", file=sys.stderr)
        return 2
    plan = given.plan.absolute()
    try:
        output = given.output or plan.parent / json.loads(plan.read_text())["output"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {plan} is no plan: {error}", file=sys.stderr)
        return 2
    work = (given.work or output.with_name(output.name + ".parts")).absolute()
    job = Job(
        program=program,
        plan=plan,
        output=given.output and given.output.absolute(),
        work=work,
        shards=given.shards,
        cpus=given.cpus,
        gpus=given.gpus,
        memory=given.memory,
        force=given.force,
        store=None if given.store is None else Store.of(given.store, plan),
    )
    try:
        code = run(job, given.address)
    except ProgramError as error:
        print(error, file=sys.stderr)
        return 2
    shutil.rmtree(work, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
