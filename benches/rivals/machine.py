"""What a figure depends on beside the code: the commit, the machine, what else runs on it, the packages."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def environment(**more):
    """The environment of a measured process: pools of threads have one."""
    return os.environ | dict.fromkeys(ONE_THREAD, "1") | more


def pin(core):
    """Keeps this process on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def last_core():
    """The last core that this process may use: the first ones are where a system puts its own work."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def loadavg():
    return round(os.getloadavg()[0], 2)


def commit(root):
    """The commit, marked where files differ from it."""

    def git(*words):
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if git("status", "--porcelain") else "")


def describe():
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def processor():
    try:
        with open("/proc/cpuinfo") as text:
            names = [line.split(":", 1)[1].strip() for line in text if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def fingerprint(directory):
    """The first digits of the hash of the rows and the queries."""
    digest = hashlib.sha256()
    half = directory / "base.f16.npy"
    for path in (half if half.exists() else directory / "base.npy", directory / "queries.npy"):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
