"""Measure downloads from a server with 50 ms latency, with a plain loop and with LEXY: seconds and MB, as JSON.

    python scripts/download_speed.py --files 200

Both fetch, check, hash and keep the same images, in turn. The server is a process of its own on the loopback
interface. `benchmark.py` runs this.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from lexy.acquire.download.images import DownloadImages
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.fields import COMPONENT, read_channel
from lexy.acquire.manifest import ChannelImage, FieldEntry, write_manifest

LATENCY, CONNECTIONS, SIDE = 0.05, 16, 616
FAST = Politeness(hosts=("127.0.0.1",), connections=CONNECTIONS, rate=1e6)


def noise(side: int = SIDE) -> bytes:
    """Return a JPEG of noise, about 300 kB."""
    buffer = io.BytesIO()
    image = np.random.default_rng(0).integers(0, 255, (side, side)).astype(np.uint8)
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    content = noise()

    def do_GET(self) -> None:
        """Answer every request with the same image."""
        time.sleep(LATENCY)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.content)}\r\n\r\n"
        self.wfile.write(head.encode() + self.content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


def serve(port: Connection) -> None:
    """Send the port, then serve forever."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    port.send(server.server_port)
    server.serve_forever()


def fields_of(files: int, address: str) -> list[FieldEntry]:
    """Return an index of as many files, two for each field."""
    return [
        FieldEntry(
            field=name,
            images={
                channel: ChannelImage(f"{name}_{channel}.jpg", f"{address}/{name}_{channel}.jpg")
                for channel in ("blue", "green")
            },
        )
        for name in (f"{at // 100}/1_A1_{at}" for at in range(files // 2))
    ]


def plain(entries: Sequence[FieldEntry], folder: Path) -> int:
    """Download file after file over one open connection; return the bytes."""
    size = 0
    with httpx.Client() as client:
        for entry in entries:
            for channel, image in entry.images.items():
                content = client.get(image.address).raise_for_status().content
                path = folder / image.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                read_channel(path, COMPONENT[channel])
                hashlib.sha256(content).hexdigest()
                size += len(content)
    return size


def ours(entries: Sequence[FieldEntry], folder: Path) -> int:
    """Download with the project's code, from the index on disk to the manifest; return the bytes."""
    folder.mkdir()
    write_manifest(folder / "index.parquet", entries)
    return DownloadImages(FAST).run(folder, folder / "fields")["bytes"]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200, help="number of files (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken (default 3)")
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"

    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(sender,), daemon=True)
    server.start()
    entries = fields_of(arguments.files, f"http://127.0.0.1:{receiver.recv()}")
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(arguments.rounds):
        for how, measured in (("plain", plain), ("ours", ours)):
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                size = measured(entries, Path(folder) / "room")
                seconds[how].append(time.perf_counter() - begin)
    server.terminate()
    result = {how: statistics.median(times) for how, times in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True))
    print(json.dumps({**result, "ratio": ratio, "files": arguments.files, "mb": size / 1e6}))


if __name__ == "__main__":
    main()
