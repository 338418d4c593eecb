"""`python -m azure_double --port 0 --state-dir DIR`: prints one line of JSON, then serves until it is ended."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from . import certs
from .server import Double, Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="azure_double", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free port")
    parser.add_argument("--state-dir", type=Path, required=True, help="where certificates are written")
    options = parser.parse_args()
    authority, certificate, key = certs.make(options.state_dir)
    server = Server(Double(), options.port, str(certificate), str(key))
    line = {"port": server.server_address[1], "url": f"https://127.0.0.1:{server.server_address[1]}", "ca": str(authority)}
    print(json.dumps(line), flush=True)
    server.serve_forever()


main()
