"""Runs the conformance checks of the official SDKs against the real binary, and the notebook of `data/`.

usage: python3 tests/sdk/run.py [--only WORD]

Needs cargo with a C compiler and OpenSSL's headers (for the Rust SDK), python3 with venv, node with npm, and their registries.
SDKs are installed below target/sdk and kept there.
The server is killed and started again between the two halves of the checks.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "sdk"
TOOLS = ROOT / "target" / "sdk"
KEY = "conformance-key"
PYTHON_VERSIONS = ["10.2.0", "8.1.0", "7.3.0"]
TYPESCRIPT_VERSIONS = ["9.0.0", "8.2.0"]
# LangChain's and mem0's stores take Python 7 of the SDK.
FRAMEWORKS = [
    "langchain-pinecone==0.2.13",
    "llama-index-vector-stores-pinecone==0.9.0",
    "mem0ai==2.2.1",
    "pinecone-haystack==7.0.0",
    "haystack-ai==3.4.1",
    "pinecone==7.3.0",
]
NOTEBOOK_TOOLS = ["nbclient==0.10.2", "ipykernel==6.30.1", "nbformat==5.10.4"]


class Server:
    """The binary on a free port; `kill` ends it as a crash would."""

    def __init__(self, binary, data_dir):
        self.command = [binary, "serve", "--json", "--data-dir", data_dir, "--listen", "127.0.0.1:0"]
        self.start()

    def start(self):
        environment = {**os.environ, "PINYON_API_KEYS": KEY}
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, env=environment, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the server did not start")
        self.url = json.loads(line)["url"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def is_done(directory, wanted):
    """Whether a directory has what is wanted; empties it if not."""
    done = directory / ".done"
    if done.exists() and done.read_text() == wanted:
        return True
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return False


def python_with(name, packages):
    """The interpreter of a virtual environment that has these packages."""
    directory, wanted = TOOLS / name, "\n".join(packages)
    if not is_done(directory, wanted):
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        install = [directory / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(install, check=True)
        (directory / ".done").write_text(wanted)
    return directory / "bin" / "python"


def typescript_with(version):
    """A directory that has this version of the TypeScript SDK, with the checks in it."""
    directory = TOOLS / f"typescript-{version}"
    if not is_done(directory, version):
        (directory / "package.json").write_text('{"private": true, "type": "module"}\n')
        # Version 9 asks for a newer node than Debian has, and works on it all the same.
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--engine-strict=false"]
        subprocess.run([*install, f"@pinecone-database/pinecone@{version}"], check=True, cwd=directory)
        (directory / ".done").write_text(version)
    shutil.copy(HERE / "typescript" / "conformance.mjs", directory)
    return directory / "conformance.mjs"


def rust_program():
    """The checks through the Rust SDK, a cargo project of its own."""
    target = TOOLS / "rust"
    command = ["cargo", "build", "--quiet", "--locked", "--target-dir", target]
    subprocess.run(command, check=True, cwd=HERE / "rust")
    return target / "debug" / "rust-conformance"


def python_clients(version):
    """Name, command and further arguments of the checks of one version of the Python SDK."""
    # From version 9 on the extras are empty: gRPC and asyncio are part of the package.
    extras = "" if int(version.split(".")[0]) >= 9 else "[grpc,asyncio]"
    packages = [f"pinecone{extras}=={version}"]
    name, checks = f"python-{version}", HERE / "python"
    yield name, lambda: [python_with(name, packages), checks / "conformance.py"], []
    yield f"{name}-grpc", lambda: [python_with(name, packages), checks / "conformance.py"], ["grpc"]
    yield f"{name}-asyncio", lambda: [python_with(name, packages), checks / "asynchronous.py"], []


def clients():
    """Name, command and further arguments of every client."""
    yield "plain-http", lambda: [sys.executable, HERE / "python" / "plain_http.py"], []
    for version in PYTHON_VERSIONS:
        yield from python_clients(version)
    yield "frameworks", lambda: [python_with("frameworks", FRAMEWORKS), HERE / "python" / "frameworks.py"], []
    for version in TYPESCRIPT_VERSIONS:
        yield f"typescript-{version}", lambda version=version: ["node", typescript_with(version)], []
    yield "rust", lambda: [rust_program()], []


def install(chosen):
    """Installs what the clients need, two at a time: the Rust SDK is built while the others are fetched."""
    # The clients of one Python version share an environment.
    first = {name.removesuffix("-grpc").removesuffix("-asyncio"): command for name, command, _ in reversed(chosen)}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda command: command(), first.values()))


def run_notebook(server):
    python = python_with("notebook", [f"pinecone=={PYTHON_VERSIONS[0]}", *NOTEBOOK_TOOLS])
    program = (
        "import nbformat, sys; from nbclient import NotebookClient; "
        "book = nbformat.read(sys.argv[1], as_version=4); "
        "NotebookClient(book, timeout=120, kernel_name='python3').execute(); "
        "print('notebook: all', sum(cell.cell_type == 'code' for cell in book.cells), 'cells ran')"
    )
    environment = {**os.environ, "PINYON_SERVER": server.url, "PINYON_API_KEY": KEY}
    command = [python, "-c", program, ROOT / "data" / "walkthrough.ipynb"]
    return subprocess.run(command, env=environment, cwd=ROOT / "data").returncode


def hosts(output):
    return [line for line in output.splitlines() if line.startswith("host ")]


def run_phase(chosen, server, phase):
    """Runs all clients; the names of those that failed, and the hosts that they were told."""
    failed, told = [], {}
    for name, command, extra in chosen:
        done = subprocess.run([*command(), server.url, KEY, phase, *extra], text=True, stdout=subprocess.PIPE, timeout=600)
        print(done.stdout, end="", flush=True)
        told[name] = hosts(done.stdout)
        if done.returncode:
            failed.append(f"{name} {phase}")
    return failed, told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run clients whose name contains this")
    only = parser.parse_args().only
    subprocess.run(["cargo", "build", "--quiet", "--package", "pinyon-cli"], check=True, cwd=ROOT)
    chosen = [client for client in clients() if only in client[0]]
    install(chosen)
    with tempfile.TemporaryDirectory(prefix="pinyon-sdk-") as data_dir:
        server = Server(ROOT / "target" / "debug" / "pinyon", data_dir)
        try:
            failed, told_before = run_phase(chosen, server, "before")
            if only in "notebook" and run_notebook(server):
                failed.append("notebook")
            server.kill()
            server.start()
            more, told_after = run_phase(chosen, server, "after")
            failed += more
            failed += [f"{name}: another host after the restart" for name in told_before if told_before[name] != told_after[name]]
        finally:
            server.kill()
    if failed:
        sys.exit("failed: " + ", ".join(failed))
    print("all SDKs agree")


if __name__ == "__main__":
    main()
