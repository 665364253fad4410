"""What processes cost, by the kernel's count: CPU seconds of all threads, peak memory; and how busy the machine is."""

import os
import platform
import statistics
import threading
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid, children=False):
    """CPU seconds of a process; with `children`, of those too that it has waited for."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The name, in parentheses, may hold spaces.
    fields = stat.rpartition(") ")[2].split()
    return sum(int(f) for f in fields[11 : 15 if children else 13]) / TICKS


def peak_rss_mb(pid):
    """VmHWM: the most memory that the process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmHWM")


class PostgresCpu:
    """CPU of a PostgreSQL server, as a whole and by kind of process.

    The whole is exact: the postmaster waits for its children, so that the kernel adds theirs to its own. A child that has
    ended is known by its last look, at most one interval old.
    """

    INTERVAL_S = 0.1

    def __init__(self, postmaster):
        self.postmaster = postmaster
        self.stop = threading.Event()
        self.seen = {}
        self._look()
        self.before = dict(self.seen)
        self.whole_before = self._whole()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def finish(self):
        """CPU seconds since the start: {"whole": s, "walsender": s, "COPY": s, ...}"""
        self.stop.set()
        self.thread.join()
        self._look()
        result = {"whole": self._whole() - self.whole_before}
        for pid, (kind, seconds) in self.seen.items():
            spent = seconds - self.before.get(pid, (kind, 0))[1]
            result[kind] = result.get(kind, 0) + spent
        return result

    def _children(self):
        text = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text()
        return [int(pid) for pid in text.split()]

    def _look(self):
        for pid in self._children():
            try:
                title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").strip("\0 ")
                kind = title.removeprefix("postgres: ").split(" ")[0]
                if "/" in kind:
                    # A child that has just been forked still bears the server's command line.
                    kind = "starting"
                # A backend is called by its user; the title ends with what it does. COPY is told apart once seen.
                if title.endswith(" COPY") or self.seen.get(pid, ("",))[0] == "COPY":
                    kind = "COPY"
                self.seen[pid] = (kind, cpu(pid))
            except FileNotFoundError:
                pass

    def _whole(self):
        whole = cpu(self.postmaster, children=True)
        for pid in self._children():
            try:
                whole += cpu(pid)
            except FileNotFoundError:
                pass
        return whole

    def _watch(self):
        while not self.stop.wait(self.INTERVAL_S):
            self._look()


def pressure():
    """How busy the machine is: load average, and the share of time in which some process waited for a CPU."""
    result = {"loadavg": Path("/proc/loadavg").read_text().split()[:3]}
    try:
        some = Path("/proc/pressure/cpu").read_text().split("\n")[0].split()
        result["cpu_some_avg10"] = float(some[1].partition("=")[2])
    except OSError:
        pass
    return result


def machine():
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), platform.machine())
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 1024 / 1024),
        "kernel": platform.release().split("-")[0],
    }


@dataclass
class Figures:
    """One workload: a list of runs, each a dictionary of figures."""

    name: str
    note: str = ""
    runs: list = field(default_factory=list)
    void: list = field(default_factory=list)

    def values(self, key):
        return [run[key] for run in self.runs if run.get(key) is not None]

    def median(self, key):
        values = self.values(key)
        return statistics.median(values) if values else None

    def spread(self, key):
        values = self.values(key)
        return (min(values), max(values)) if values else None
