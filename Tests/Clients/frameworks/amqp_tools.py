"""Debian's amqp-tools, which are written in C: declare, publish, get, consume, delete."""

import os
import subprocess

QUEUE = "frameworks.tools"
URL = f"--url={os.environ['AMQP_URL']}"
SECONDS = 20


def call(tool, *options, given=None, waits=True):
    """Runs a tool as a shell would, and prints what it says."""
    print(f"$ amqp-{tool}", *options, *(["<", repr(given)] if given else []), flush=True)
    done = subprocess.run(
        [f"amqp-{tool}", URL, *options], input=given, text=True, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    for line in done.stdout.splitlines():
        print("  " + line)
    if done.returncode:
        print(f"  [exit {done.returncode}]")


call("declare-queue", "-q", QUEUE)
call("publish", "-r", QUEUE, "-b", "one")
call("publish", "-r", QUEUE, "-p", "-C", "text/plain", given="two")
call("publish", "-r", QUEUE, "-l", given="three\nfour\n")
call("get", "-q", QUEUE)
call("consume", "-q", QUEUE, "-c", "3", "cat")
call("get", "-q", QUEUE)
call("publish", "-e", "amq.fanout", "-r", "nowhere", "-b", "lost")
call("consume", "-q", "frameworks.none", "-c", "1", "cat")
call("get", "-q", "frameworks.none")
call("delete-queue", "-q", QUEUE)
call("delete-queue", "-q", QUEUE)
