"""Servers on the loopback interface that answer as they are told, rightly or wrongly."""

import contextlib
import io
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import numpy as np
from PIL import Image

Answer = Callable[[BaseHTTPRequestHandler], None]


def jpeg(seed: int = 0, size: int = 24, format: str = "JPEG") -> bytes:
    """A small image that passes the content check."""
    buffer = io.BytesIO()
    image = np.random.default_rng(seed).integers(0, 255, (size, size)).astype(np.uint8)
    Image.fromarray(image).save(buffer, format)
    return buffer.getvalue()


def body(content: bytes, kind: str | None = "image/jpeg", status: int = 200, **headers: str | None) -> Answer:
    """All of `content`; underscores in the names of headers stand for hyphens, None leaves one out."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Type": kind, "Content_Length": str(len(content)), **headers}.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int, **headers: str) -> Answer:
    return body(b"sorry", "text/plain", code, **headers)


def redirect(place: str, code: int = 302) -> Answer:
    return status(code, Location=place)


def cut(content: bytes, kind: str = "image/jpeg") -> Answer:
    """Half of what is announced."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body(content[: len(content) // 2], kind, Content_Length=str(len(content)))(handler)
        handler.close_connection = True

    return answer


class Atlas(ThreadingHTTPServer):
    """Answers each path with a row of answers in turn, the last one again and again; 404 for what it does not know.

    Attributes
    ----------
    answers : dict of str to list of Answer
        By path.
    asked : list of str
        Paths in the order of the requests.
    heads : list of dict
        Their headers.
    most : int
        Largest number of requests at a time.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.heads: list[dict[str, str]] = []
        self.most, self._now, self.closing = 0, 0, threading.Event()
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self) -> Counter[str]:
        """Requests by path."""
        return Counter(self.asked)

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """No answer before the server is closed."""
        self.closing.wait()
        handler.close_connection = True

    def stall(self, content: bytes) -> Answer:
        """The beginning of a body, and then nothing."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            body(content[:100], Content_Length=str(len(content)))(handler)
            self.hang(handler)

        return answer

    @contextlib.contextmanager
    def running(self) -> Iterator["Atlas"]:
        thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self.shutdown()
            self.server_close()

    @contextlib.contextmanager
    def serving(self, handler: BaseHTTPRequestHandler) -> Iterator[Answer]:
        with self.lock:
            self._now += 1
            self.most = max(self.most, self._now)
            row = self.answers.get(handler.path, [status(404)])
            answer = row[min(self.asked.count(handler.path), len(row) - 1)]
            self.asked.append(handler.path)
            self.heads.append(dict(handler.headers))
        try:
            yield answer
        finally:
            with self.lock:
                self._now -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Atlas

    def do_GET(self) -> None:
        with self.server.serving(self) as answer:
            answer(self)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal."""


class Tunnel:
    """A proxy that is, behind its CONNECT, an HTTP/2 server for every host: what was asked for, and by which protocol.

    Parameters
    ----------
    folder : Path
        Gets its certificate, `certificate.pem`.
    host : str
        Whom the certificate is for.
    content : bytes
        The answer to everything.
    """

    def __init__(self, folder: Path, host: str, content: bytes) -> None:
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key,
             "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.content = content
        self.connects: list[str] = []
        self.requests: list[dict[str, str]] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._context.set_alpn_protocols(["h2"])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["Tunnel"]:
        threading.Thread(target=self._serve, daemon=True).start()
        try:
            yield self
        finally:
            self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        self.connects.append(client.recv(65536).decode().splitlines()[0])
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError), self._context.wrap_socket(client, server_side=True) as secure:
            connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            connection.initiate_connection()
            secure.sendall(connection.data_to_send())
            while data := secure.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.requests.append({name.decode(): value.decode() for name, value in event.headers})
                        connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "image/jpeg")])
                        connection.send_data(event.stream_id, self.content, end_stream=True)
                secure.sendall(connection.data_to_send())
