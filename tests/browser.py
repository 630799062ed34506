"""A headless Chromium, spoken to by its pipe (DevTools protocol): no library is needed."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATH = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--hide-scrollbars",
)


class Browser:
    """One page of it; `complaints` are what the console and the page's policy said."""

    def __init__(self, write, read):
        self._write, self._read, self._number, self._session = write, read, 0, None
        self.complaints, self._events, self._rest = [], [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Runtime", "Log", "Page"):
            self.call(f"{room}.enable")

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path):
        self._events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def run(self, code):
        """Value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _next(self):
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 16)
            assert more, "the browser has gone"
            self._rest += more
        one, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(one)
        method = message.get("method", "")
        self._events.append(method)
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(message["params"])
        return message


@contextmanager
def browser(profile):
    """A browser with its profile in this folder; ends with the block."""
    (there, write), (read, back) = os.pipe(), os.pipe()
    flags = [*FLAGS, f"--user-data-dir={profile}"]
    # The browser reads from descriptor 3 and writes to 4.
    shell = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
    command = ["bash", "-c", shell, "-", str(there), str(back), str(PATH), *flags, "about:blank"]
    process = subprocess.Popen(command, pass_fds=(there, back), stderr=subprocess.DEVNULL)
    os.close(there)
    os.close(back)
    try:
        yield Browser(write, read)
    finally:
        process.terminate()
        process.wait(20)
        os.close(write)
        os.close(read)
