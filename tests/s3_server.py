"""Owns real S3 servers for the tests: moto in a process of its own, and a proxy that loses or refuses requests."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import boto3

from ladnn.store import S3Options

_REGION = "us-east-1"
_START_TIMEOUT_S = 60
# moto 5.2.5 checks If-None-Match and then writes without a lock, and adds the metadata after that: of 16 clients at
# once, two were told now and then that they had created the object. S3 promises one, so requests are served in turn.
_SERVE_IN_TURN = """
import threading
import moto.server

run_simple, lock = moto.server.run_simple, threading.Lock()

def run_in_turn(host, port, application, **options):
    def in_turn(environ, start_response):
        with lock:
            reply = application(environ, start_response)
            try:
                return list(reply)
            finally:
                getattr(reply, "close", lambda: None)()
    run_simple(host, port, in_turn, **options)

moto.server.run_simple = run_in_turn
moto.server.main()
"""


@dataclass(frozen=True)
class S3Server:
    """A running server with credentials that it takes."""

    options: S3Options

    def client(self, service: str = "s3") -> Any:
        """Return a raw boto3 client, for what goes around the store."""
        return boto3.Session(self.options.access_key_id, self.options.secret_access_key, region_name=_REGION).client(
            service, endpoint_url=self.options.endpoint_url
        )

    def make_bucket(self) -> str:
        """Make a bucket of its own for a test."""
        bucket = f"test-{uuid4().hex}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


@contextmanager
def running_s3_server() -> Iterator[S3Server]:
    """Run a server on a free port; it takes any credentials and forgets everything at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOTO_", "AWS_"))}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE_IN_TURN, "-H", "127.0.0.1", "-p", "0"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            yield S3Server(S3Options(_wait_for_address(process, log), "test-key", "test-secret", _REGION))
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def running_strict_s3_server(policy: dict[str, Any]) -> Iterator[tuple[S3Server, str]]:
    """Run a server that checks signatures, with a bucket and one user who may do what an IAM policy says."""
    with running_s3_server() as server:
        bucket = server.make_bucket()
        iam = server.client("iam")
        iam.create_user(UserName="ladnn")
        iam.put_user_policy(UserName="ladnn", PolicyName="ladnn", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="ladnn")["AccessKey"]
        # From here on every request is checked: https://docs.getmoto.org/en/latest/docs/iam.html
        endpoint_url = server.options.endpoint_url
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{endpoint_url}/moto-api/reset-auth", b"0", headers)
        urllib.request.urlopen(request).close()
        options = S3Options(endpoint_url, key["AccessKeyId"], key["SecretAccessKey"], _REGION)
        yield S3Server(options), bucket


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace")):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server did not start: {log.read_text(errors='replace')}")


class _FaultyHandler(BaseHTTPRequestHandler):
    """Passes PUT and HEAD on; subclasses name the server and the faults that the first PUTs meet."""

    protocol_version = "HTTP/1.1"
    target: str
    faults: list[Literal["lost reply", "conflict"]]

    def do_PUT(self) -> None:
        fault = self.faults.pop(0) if self.faults else None
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if fault == "conflict":
            self._reply(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>", {})
            return
        status, reply, headers = self._pass_on(body)
        if fault == "lost reply":
            self.close_connection = True
        else:
            self._reply(status, reply, headers)

    def do_HEAD(self) -> None:
        self._reply(*self._pass_on(None))

    def _pass_on(self, body: bytes | None) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.target)
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        connection.request(self.command, self.path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        kept = {name: value for name, value in reply.getheaders() if name.lower().startswith("x-amz-meta-")}
        return reply.status, content, kept

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""


@contextmanager
def faulty_proxy(server: S3Server, faults: list[Literal["lost reply", "conflict"]]) -> Iterator[S3Options]:
    """Pass requests on to a server; the first PUTs meet the faults, in this order."""
    options = server.options
    target = str(options.endpoint_url).removeprefix("http://")
    handler = type("Handler", (_FaultyHandler,), {"target": target, "faults": faults})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield replace(options, endpoint_url=f"http://127.0.0.1:{proxy.server_address[1]}")
        finally:
            proxy.shutdown()
            thread.join()
