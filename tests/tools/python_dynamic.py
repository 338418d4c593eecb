"""Runs the `pulumi` wheel's server of Python dynamic resources, and ends when the CLI that started it was killed."""

import os
import runpy
import sys
import threading
import time


def end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
# As `python -m` has it: providers are found in the program's folder.
sys.path[0] = os.getcwd()
runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
