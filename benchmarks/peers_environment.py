"""The peers' own environments: a virtual environment for each requirements file, and the scripts their pages load.

Each environment also sees the packages of the one that runs this, so that torch is not installed a second time. What a
peer needs in another version is installed in its own environment, which comes first.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv" / "peers"
# By the address that a page asks for: the npm package and the file in it. npm has no jQuery 2.0.0, which BertViz asks
# for; 2.1.0 is the next one that it has.
SCRIPTS = {
    "https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js": ("requirejs@2.3.6", "require.js"),
    "https://cdnjs.cloudflare.com/ajax/libs/d3/5.7.0/d3.min.js": ("d3@5.7.0", "dist/d3.min.js"),
    "https://cdnjs.cloudflare.com/ajax/libs/jquery/2.0.0/jquery.min.js": ("jquery@2.1.0", "dist/jquery.min.js"),
}


def requirements(name: str) -> Path:
    """The pinned versions of one environment."""
    return HERE / f"requirements-peers-{name}.txt"


def pinned(*names: str) -> dict[str, str]:
    """The versions of the peers in these environments."""
    lines = [line for name in names for line in requirements(name).read_text().splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, which is made here when it is not there or its versions changed.

    Raises:
        RuntimeError: the packages could not be installed.
    """
    home = folder / name
    stamp, python = home / "installed", home / "bin" / "python"
    wanted = hashlib.sha256(requirements(name).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {requirements(name).name} into {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    # Such a line is run; a plain path would not bring in what is installed there as editable.
    (Path(packages) / "shared.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    _checked([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements(name)])
    stamp.write_text(wanted)
    return python


def scripts(folder: Path) -> dict[str, Path]:
    """The files to serve for the addresses that the peers' pages ask for, taken from the npm registry.

    Raises:
        RuntimeError: npm is not there, or did not give one of the packages.
    """
    served = {}
    for address, (package, inside) in SCRIPTS.items():
        home = folder / "scripts" / package
        served[address] = home / "package" / inside
        if served[address].exists():
            continue
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _checked(["npm", "pack", package, "--silent", "--pack-destination", str(home)])
        with tarfile.open(next(home.glob("*.tgz"))) as archive:
            archive.extractall(home, filter="data")
    return served


def _checked(command: list[str | Path]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} is not installed, and the peers need it: install it and run again") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(map(str, command))} failed: {error.stderr.strip()[-2000:]}") from None


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(python_of(each, ENVIRONMENTS))
