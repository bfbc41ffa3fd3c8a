"""The part of fMRAi that is compiled against the headers of one version of torch.

A wheel brings it for some versions. For any other from 2.9 on, ``python -m fmrai_build`` compiles it against the torch that is
installed, with the C++ compiler of the machine.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "fmrai"
OLDEST = (2, 9)
SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"


def minor(version: str) -> str:
    """``2.15`` of ``2.15.0+cpu``."""
    return ".".join(version.split("+")[0].split(".")[:2])


def _own_folder() -> Path:
    """Where libraries lie that were compiled on this machine."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fmrai"


def library(version: str) -> Path | None:
    """The library for this version of torch; None where there is none."""
    name = f"torch-{minor(version)}{SUFFIX}"
    for folder in (HERE / "_shims", _own_folder() / _own_version()):
        if (folder / name).is_file():
            return folder / name
    return None


def _own_version() -> str:
    for line in (HERE / "_version.py").read_text().splitlines():
        if line.startswith("VERSION"):
            return line.split('"')[1]
    raise ImportError(f"{HERE} is no package of fmrai")


def load() -> None:
    """Loads the library for the torch of this process, so that the extension module finds it."""
    import torch

    found = library(torch.__version__)
    if found is None:
        there = sorted(path.stem.removeprefix("torch-") for path in (HERE / "_shims").glob(f"*{SUFFIX}"))
        raise ImportError(
            f"this fmrai is built for torch {', '.join(there) or '(none)'}, here is torch {torch.__version__}: "
            f"install one of these, or compile the part that depends on it with `python -m fmrai_build` (a minute; needs a C++ compiler)"
        )
    ctypes.CDLL(str(found), mode=ctypes.RTLD_GLOBAL)


def compile_for(torch_root: Path, sources: Path, output: Path, compiler: str = "c++") -> None:
    """Compiles the library against the headers in ``torch_root/include``.

    It asks for the libraries of torch by their names alone: those that torch has loaded are taken.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    common = [
        compiler, "-std=c++20", "-O2", "-fPIC", "-DNDEBUG",
        "-isystem", str(torch_root / "include"), "-isystem", str(torch_root / "include" / "torch" / "csrc" / "api" / "include"),
        "-I", str(sources),
    ]
    exported = output.with_suffix(".exported")
    objects, running = [exported], []
    for line in (sources / "units.txt").read_text().splitlines():
        unit, *files = line.split()
        code = "".join(f'#include "{name}.cpp"\n' for name in files)
        object_file = output.with_suffix(f".{unit}.o")
        process = subprocess.Popen([*common, "-x", "c++", "-c", "-", "-o", str(object_file)], stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(code)
        process.stdin.close()
        objects.append(object_file)
        running.append(process)
    try:
        if any(process.wait() for process in running):
            raise SystemExit("the compiler failed; its messages are above")
        beside = output.with_suffix(".tmp")
        link = [compiler, "-shared", *map(str, objects[1:]), "-o", str(beside)]
        if sys.platform == "darwin":
            subprocess.run([*link, "-undefined", "dynamic_lookup", "-Wl,-exported_symbol,_fmrai_*"], check=True)
        else:
            exported.write_text("{ global: fmrai_*; local: *; };\n")
            with tempfile.TemporaryDirectory() as stubs:
                # Libraries that are empty but for their names: headers are enough to link.
                for name in ("torch_cpu", "c10"):
                    stub = [compiler, "-shared", "-x", "c", os.devnull, f"-Wl,-soname,lib{name}.so", "-o", f"{stubs}/lib{name}.so"]
                    subprocess.run(stub, check=True)
                libraries = ["-Wl,--no-as-needed", "-L", stubs, "-ltorch_cpu", "-lc10"]
                subprocess.run([*link, f"-Wl,--version-script={exported}", *libraries], check=True)
        beside.replace(output)
    finally:
        for object_file in objects:
            object_file.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> None:
    """``python -m fmrai_build``."""
    parser = argparse.ArgumentParser(prog="python -m fmrai_build", description="Compiles the part of fmrai that depends on the version of torch.")
    parser.add_argument("--torch", type=Path, help="folder of the torch package [default: the one that is installed]")
    parser.add_argument("--sources", type=Path, default=HERE / "_shim_sources", help="folder of the C++ files")
    parser.add_argument("--output", type=Path, help="folder for the library [default: the user's cache]")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    given = parser.parse_args(arguments)
    root = given.torch
    if root is None:
        import importlib.util

        spec = importlib.util.find_spec("torch")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("torch is not installed here")
        root = Path(spec.submodule_search_locations[0])
    version = _version_of(root)
    if tuple(int(part) for part in minor(version).split(".")) < OLDEST:
        raise SystemExit(f"torch {version} is too old: fmrai needs {OLDEST[0]}.{OLDEST[1]} or newer")
    folder = given.output or _own_folder() / _own_version()
    output = folder / f"torch-{minor(version)}{SUFFIX}"
    compile_for(root, given.sources, output, given.compiler)
    print(output)


def _version_of(root: Path) -> str:
    plain = root / "build-version"  # of a libtorch without Python
    if plain.is_file():
        return plain.read_text().strip()
    for line in (root / "version.py").read_text().splitlines():
        if line.startswith("__version__"):
            return line.split("=")[1].strip().strip("'\"")
    raise SystemExit(f"{root} tells no version")
