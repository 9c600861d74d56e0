"""Starts a program written for pika 0.13.1 (2019) as its author left it: old_pika.py PORT PROGRAM ARG…

It stands between the program and today in two places only. Python 3.10 took away the alias
collections.Callable, which that pika uses; and the program means port 5672, while our broker has
whichever the system chose.
"""

import collections
import collections.abc
import runpy
import sys

collections.Callable = collections.abc.Callable

import pika  # noqa: E402

assert pika.__version__ == "0.13.1", pika.__version__
pika.connection.Parameters.DEFAULT_PORT = int(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
