"""Headless Chromium, driven through its debugging pipe (chromedevtools.github.io/devtools-protocol)."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Browser:
    """One page of one browser; `close` ends it. Messages are JSON and a zero byte, on its descriptors 3 and 4."""

    def __init__(self, profile: Path, width: int = 1000, height: int = 760) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        command = [
            "chromium", "--headless", "--no-sandbox", "--no-first-run", "--disable-background-networking",
            "--disable-sync", "--disable-component-update", "--disable-extensions",
            "--enable-unsafe-swiftshader", "--hide-scrollbars", f"--window-size={width},{height}",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *command],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, ""
        self.errors: list[str] = []  # what the page's scripts threw
        self.requests: list[str] = []  # addresses that the page asked for
        target = self._page()
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def _page(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for target in self.call("Target.getTargets")["targetInfos"]:
                if target["type"] == "page":
                    return str(target["targetId"])
            time.sleep(0.05)
        raise TimeoutError("chromium opened no page")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(answer["params"]["exceptionDetails"]))
            elif answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            elif answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 20)
            assert part, "chromium has ended"
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        """Return what an expression of the page's script is worth (promises are awaited)."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 30) -> None:
        """Wait until the expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.05)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view and return where its middle is."""
        place: Sequence[float] = self.value(
            f"(() => {{ const one = document.querySelector({selector!r}); one.scrollIntoView({{block: 'center'}});"
            " const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        return place[0], place[1]

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, selector: str, right: float, down: float) -> None:
        x, y = self.middle(selector)
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + right, y=y + down, button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + right, y=y + down, button="left")

    def type(self, selector: str, text: str) -> None:
        """Replace what stands in a field by what is typed."""
        self.value(f"document.querySelector({selector!r}).select()")
        self.click(selector)
        self.value(f"document.querySelector({selector!r}).select()")
        self.call("Input.insertText", text=text)

    def press(self, selector: str, key: str) -> None:
        """Press a key with the element focused."""
        self.value(f"document.querySelector({selector!r}).focus()")
        code = {"Home": 36, "ArrowRight": 39, "Escape": 27}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a `select` (its list is a window of the system, which cannot be clicked)."""
        self.value(
            f"(() => {{ const one = document.querySelector({selector!r}); one.value = {value!r};"
            " if (one.value !== " + repr(value) + ") throw new Error('no such option');"
            " one.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
