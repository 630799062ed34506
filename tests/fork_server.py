"""Started by `cli_runs.run_forked`: imports what every command needs, once, and forks a process for each request.

A request is a line of JSON on stdin: folder, environment, module, arguments. Its answer on stdout is the exit status;
what the process printed lies in the files `out` and `err` of the request.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys

PRELOADED = [
    "lexy.cli.hydra_app",
    "lexy.runs.evaluation",
    "lexy.tasks.segmentation",
    "lexy.data.stills",
    "matplotlib.pyplot",
]
TIME_LIMIT = 240  # seconds


def next_request() -> dict | None:
    """In a new process, the request that it is for; in the server, None when no more requests come."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(request: dict) -> None:
    """Make this process what a shell would have started."""
    signal.alarm(TIME_LIMIT)
    for path, number in ((os.devnull, 0), (request["out"], 1), (request["err"], 2)):
        file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    added = request["environment"]["PYTHONPATH"].split(os.pathsep)
    sys.path[:1] = [request["folder"], *(place for place in added if place not in sys.path)]
    sys.argv = [request["module"], *request["arguments"]]


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # or every process would go through all of it once more when it ends
    request = next_request()
    if request is not None:
        become(request)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
