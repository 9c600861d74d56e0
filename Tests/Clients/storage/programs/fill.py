"""Fills the file system of FILE until LEFT octets are free, says so, and waits: fill.py FILE LEFT"""

import os
import signal
import sys

path, left = sys.argv[1], int(sys.argv[2])
file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
size = os.fstat(file).st_size
while True:
    status = os.statvfs(path)
    spare = status.f_bavail * status.f_frsize - left
    if spare < status.f_frsize:
        break
    step = min(spare // status.f_frsize * status.f_frsize, 1 << 24)
    try:
        os.posix_fallocate(file, size, step)
    except OSError:  # somebody else was quicker
        if step <= status.f_frsize:
            break
        step = status.f_frsize
    size += step
print("full", flush=True)
signal.pause()
