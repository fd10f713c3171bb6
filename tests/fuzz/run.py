"""Sends what Pinecone's API is not meant to get to the real binary: no 5xx, no hang, and other data stay as they are.

usage: python3 tests/fuzz/run.py [--examples N] [--seconds N] [--seed N]

Needs cargo, python3 with venv and PyPI; schemathesis is installed below target/fuzz and kept there. The requests are made from
pinecone.openapi.yaml, valid ones and ones that break it. Broken gRPC frames are in tests/it/frames.rs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
TOOLS = ROOT / "target" / "fuzz"
FUZZER = "schemathesis==4.32.5"
SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
# An answer that takes longer counts as a hang.
ANSWER_SECONDS = 20


def ask(url, body=None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.loads(answer.read())


def tool():
    """The fuzzer's command, installed if it is not there."""
    command = TOOLS / "bin" / "schemathesis"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        subprocess.run([TOOLS / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", FUZZER], check=True)
    return command


def start(binary, data_dir, log):
    command = [binary, "serve", "--json", "--data-dir", data_dir, "--listen", "127.0.0.1:0"]
    # Or statistics with a filter would all be refused before the filter is read.
    environment = {**os.environ, "PINYON_STATS_FILTER": "allow"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    line = server.stdout.readline()
    if not line:
        sys.exit("the server did not start")
    return server, json.loads(line)["url"]


def make_indexes(url):
    """The indexes that are fuzzed, and records that no request names: in one of them, and in an index of their own."""
    for name in ("fuzzed", "bystander"):
        ask(f"{url}/indexes", {"name": name, "dimension": 3, "metric": "dotproduct", "spec": SPEC})
        vectors = [{"id": f"g{n}", "values": [n, 1, 2], "metadata": {"n": n, "genre": "drama"}} for n in range(50)]
        ask(f"{url}/indexes/{name}/vectors/upsert", {"namespace": "guarded-by-its-name", "vectors": vectors})
    embed = {"model": "multilingual-e5-large", "field_map": {"text": "text"}}
    ask(f"{url}/indexes/create-for-model", {"name": "fuzzed-texts", "cloud": "aws", "region": "us-east-1", "embed": embed})


def guarded(url):
    """Everything of the records that no request names."""
    ids = "&".join(f"ids=g{n}" for n in range(50))
    reads = [f"vectors/list?namespace=guarded-by-its-name", f"vectors/fetch?namespace=guarded-by-its-name&{ids}"]
    return [ask(f"{url}/indexes/{name}/{read}") for name in ("fuzzed", "bystander") for read in reads]


def fuzz(url, arguments):
    """Runs the fuzzer; whether every check held."""
    command = [
        tool(), "run", HERE / "pinecone.openapi.yaml", "--url", url, "--mode", "all", "--phases", "coverage,fuzzing",
        "--max-examples", str(arguments.examples), "--seed", str(arguments.seed), "--continue-on-failure",
        "--checks", "no_server_error,errors_have_an_envelope", "--request-timeout", str(ANSWER_SECONDS),
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
    ]  # fmt: skip
    if arguments.seconds:
        command += ["--max-time", str(arguments.seconds)]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    return subprocess.run(command, env=environment, cwd=TOOLS).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="examples an operation")
    parser.add_argument("--seconds", type=int, help="stop after this time")
    parser.add_argument("--seed", type=int, default=20_261_124)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--quiet", "--package", "pinyon-cli"], check=True, cwd=ROOT)
    tool()
    with tempfile.TemporaryDirectory(prefix="pinyon-fuzz-") as data_dir, tempfile.TemporaryFile("w+") as log:
        server, url = start(ROOT / "target" / "debug" / "pinyon", data_dir, log)
        try:
            make_indexes(url)
            before, started = guarded(url), time.monotonic()
            problems = [] if fuzz(url, arguments) else ["a check failed"]
            print(f"fuzzed for {time.monotonic() - started:.0f} s")
            if server.poll() is not None:
                problems.append(f"the server ended with {server.returncode}")
            elif guarded(url) != before:
                problems.append("records that no request named are not as they were")
        finally:
            server.kill()
            server.wait()
        log.seek(0)
        problems += [line for line in log.read().splitlines() if "panicked" in line]
    if problems:
        sys.exit("failed: " + "; ".join(problems))
    print("no 5xx, no hang, no panic, other data as they were")


if __name__ == "__main__":
    main()
