"""A stand-in for STS and Secrets Manager that can have thousands of calls waiting, which the emulator cannot."""

from __future__ import annotations

import asyncio
import json
import threading

from support.moto import ACCOUNT, REGION

_IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDABENCH</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>""".encode()


class SlowServices:
    """Says who the caller is, and accepts every CreateSecret, `delay` seconds after it was asked."""

    def __init__(self, delay: float) -> None:
        self._delay, self._loop = delay, asyncio.new_event_loop()
        self._thread, self._ready = threading.Thread(target=self._serve, daemon=True), threading.Event()
        self._waiting = 0
        #: Most calls that were waiting at the same time, and connections altogether.
        self.peak = self.connections = 0

    def __enter__(self) -> SlowServices:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", 0, backlog=2048))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                kind, answer = await self._answer(reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(answer), answer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(length)
        self._waiting += 1
        self.peak = max(self.peak, self._waiting)
        await asyncio.sleep(self._delay)
        self._waiting -= 1
        if "x-amz-target: secretsmanager.createsecret" not in head:
            return b"text/xml", _IDENTITY
        name = json.loads(body)["Name"]
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
        return b"application/x-amz-json-1.1", json.dumps({"ARN": arn, "Name": name, "VersionId": "1"}).encode()
