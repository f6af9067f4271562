"""What the API is compared with: the standard library's HTTP server, a thread for each connection.

A GET is answered with a task; a POST runs a program and waits for its end.

Run as ``python bench/barehttp.py HOST:PORT``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_TASK = json.dumps({"task_id": "task", "action": "nothing", "status": "succeeded"}).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(_TASK)

    def do_POST(self) -> None:
        code = subprocess.run(["/bin/sh", "-c", "exit 0"], check=False).returncode
        self._answer(json.dumps({"exit_code": code, "output": []}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    ThreadingHTTPServer((host, int(port)), _Handler).serve_forever()
