# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium over its debugging pipe: open a page, run JavaScript, press keys, take pictures.

The pipe speaks one JSON object a message, ended by a zero byte (Chrome DevTools Protocol).  What the
page asked of the network and what it wrote to its console as an error is kept.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowDown": 40, " ": 32}
TEXTS = {"Enter": "\r", " ": " "}


class Browser:
    def __init__(self, seconds=60):
        self.seconds, self.last, self.text = seconds, 0, b""
        self.errors, self.requests, self.loaded = [], [], False
        self.profile = tempfile.mkdtemp(prefix="attest-chromium-")
        theirs, self.out = os.pipe()
        self.input, answers = os.pipe()
        low, high = os.dup(theirs), os.dup(answers)

        def place():
            # Through copies: the ends may lie at 3 and 4 themselves.
            a, b = os.dup(low), os.dup(high)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.child = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir=" + self.profile],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        for end in (theirs, answers, low, high):
            os.close(end)
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(domain + ".enable")

    def close(self):
        self.child.terminate()
        self.child.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, **params):
        self.last += 1
        number, message = self.last, {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self):
        end = time.monotonic() + self.seconds
        while b"\0" not in self.text:
            ready, _, _ = select.select([self.input], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.input, 1 << 16) if ready else b""
            if not chunk:
                raise RuntimeError("the browser does not answer")
            self.text += chunk
        one, self.text = self.text.split(b"\0", 1)
        message = json.loads(one)
        self._note(message.get("method"), message.get("params"))
        return message

    def _note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def open(self, url):
        """Seconds until the page was loaded and drawn once."""
        begin, self.loaded = time.monotonic(), False
        self.ask("Page.navigate", url=url)
        while not self.loaded:
            self._next()
        self.run("new Promise(r => requestAnimationFrame(() => setTimeout(r)))")
        return time.monotonic() - begin

    def run(self, script):
        """The value of an expression, awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                     windowsVirtualKeyCode=KEYS[key], text=TEXTS.get(key, "") if kind == "keyDown" else "")

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def size(self, width, height=900):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path):
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
