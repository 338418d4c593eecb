"""Time as the double sees it: the machine's, plus what a test has advanced it by."""

from __future__ import annotations

import datetime
import time


class Clock:
    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def text(self, at: float | None = None) -> str:
        stamp = datetime.datetime.fromtimestamp(self.now() if at is None else at, datetime.UTC)
        return stamp.isoformat(timespec="microseconds").replace("+00:00", "Z")
