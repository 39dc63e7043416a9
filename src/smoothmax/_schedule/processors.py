"""How many processors the system grants this process: the CPU quotas of its control groups, on Linux.

A container that is started with ``--cpus=2`` sees every processor of its host, but may use the time of only two. More
threads than that make nothing faster: once the group has used its share of a period, all its threads stop until the
next period.
"""

import os  # pathlib would take longer to import than all of this file takes to run
from collections.abc import Iterator

__all__ = ["cpu_quota"]

# Where distributions and containers mount the hierarchies that know of processors. Version 2 has one for everything.
MOUNTED_V2 = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
MOUNTED_V1 = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct")


def cpu_quota(root: str = "/") -> int | None:
    """The number of processors that the control groups of this process allow; None if they allow all.

    A quota of part of a processor counts as a whole one, as for Java and joblib: 1.5 processors keep two threads busy.
    """
    return min((-(-quota // period) for quota, period in quotas(root)), default=None)


def quotas(root: str) -> Iterator[tuple[int, int]]:
    """Pairs of quota and period in microseconds, of each group of this process and of the groups around it."""
    for line in read(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for group in groups(root, MOUNTED_V2, path):
                yield from pairs(read(group + "/cpu.max"))
        elif "cpu" in controllers.split(","):
            for group in groups(root, MOUNTED_V1, path):
                yield from pairs(read(group + "/cpu.cfs_quota_us") + " " + read(group + "/cpu.cfs_period_us"))


def groups(root: str, mounted: tuple[str, ...], path: str) -> Iterator[str]:
    """The directories of a group and of all groups around it. A container may see its own group as the outermost."""
    names = [name for name in path.split("/") if name not in ("", "..")]  # ".." leads out of a container's view
    for mount in mounted:
        for depth in range(len(names), -1, -1):
            yield os.path.join(root, mount, *names[:depth])


def pairs(text: str) -> Iterator[tuple[int, int]]:
    """The two numbers of "200000 100000"; nothing for "max 100000", "-1 100000" or a file that does not exist."""
    words = text.split()
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[0]) > 0 and int(words[1]) > 0:
        yield int(words[0]), int(words[1])


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
