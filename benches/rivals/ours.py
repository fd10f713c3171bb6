"""Runs Pinyon's own benches and keeps the JSON lines that they print."""

import json
import subprocess

BENCH = ["cargo", "bench", "-p", "pinyon-benches", "--bench"]
COMMANDS = [[*BENCH, name] for name in ("curve", "tenants", "filters")]
# Fields that a line must have; the table cannot place it otherwise.
NEEDED = {
    "build": {"vectors_per_s"},
    "curve": {"ef", "recall", "qps"},
    "tenants": {"mix", "recall", "qps"},
    "filters": {"filter", "recall", "qps"},
}


def lines(command, run):
    """The lines of one command, or one line that says why there are none.

    `run(words, is_measured)` runs a command and gives back what subprocess.run does.
    """
    try:
        # Built first and on every core: only the measurement is held to one.
        built = run([*command, "--no-run"], False)
        done = run(command, True) if built.returncode == 0 else built
    except (OSError, subprocess.TimeoutExpired) as error:
        return [failure(command, str(error))]
    found = [line for line in map(parse, done.stdout.splitlines()) if line]
    if done.returncode:
        reason = last_words(done.stderr) or f"it ended with {done.returncode}"
        return [*found, failure(command, reason)]
    return found or [failure(command, "it printed no line of a known kind")]


def parse(text):
    """The measurement on a line, None if it is none; cargo and the bench may print other things as well."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    needed = NEEDED.get(line.get("bench"))
    return {"engine": "pinyon"} | line if needed and needed <= line.keys() else None


def failure(command, reason):
    return {"bench": "failed", "engine": "pinyon", "command": " ".join(command), "reason": reason}


def last_words(text):
    """The line of an error that says what is wrong: the first that begins so, else the last."""
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    return next((row for row in rows if row.startswith("error")), rows[-1] if rows else "")
