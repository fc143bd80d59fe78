"""A checkpoint as somebody publishes it, tiny and random, and a hub on loopback that gives it away."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORDS = ("the", "a", "roses", "ferry", "soup", "garden", "pier", "oven", "planted", "sailed", "boiled", "old")


def write_checkpoint(folder: Path, words: tuple[str, ...] = WORDS) -> Path:
    """A BERT of a few thousand random numbers with a WordPiece tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))  # type: ignore[assignment]
    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **sizes)  # type: ignore[arg-type]
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    (folder / "tokenizer_config.json").write_text(json.dumps(roles), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}', encoding="utf-8")
    return folder


class Hub:
    """What the hub has: files of one model at one commit, and how it misbehaves.

    `refused` is a status and an error code for every file; `sent` makes of a file's content what is sent.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.gated: bool | str = False
        self.refused: tuple[int, str] | None = None
        self.sent: dict[str, Callable[[bytes], bytes]] = {}
        self.asked: list[tuple[str, str]] = []

    def siblings(self) -> Iterator[dict[str, Any]]:
        """The files as the API describes them: small ones by git's id, large ones by sha256."""
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            named = {
                "rfilename": path.relative_to(self.folder).as_posix(),
                "size": len(content),
                "blobId": blob,
            }
            if path.suffix in (".safetensors", ".bin"):
                sha = hashlib.sha256(content).hexdigest()
                named["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": 134}
            yield named

    def fetched(self) -> list[str]:
        """The names of the files that were asked for, in their order."""
        return [
            path.partition(f"/resolve/{COMMIT}/")[2] for method, path in self.asked if "/resolve/" in path
        ]


@contextmanager
def serve_hub(folder: Path) -> Iterator[Hub]:
    """A hub with one model, `someone/tiny`, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append((self.headers.get("Range", ""), self.path))
            path = self.path.partition("?")[0]
            if path == f"/api/models/someone/tiny/revision/{COMMIT}":
                info = {
                    "id": "someone/tiny",
                    "sha": COMMIT,
                    "gated": hub.gated,
                    "siblings": [*hub.siblings()],
                }
                self.answer(200, json.dumps(info).encode(), {"Content-Type": "application/json"})
            elif path.startswith("/api/models/someone/tiny/"):
                self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            elif path.startswith(f"/someone/tiny/resolve/{COMMIT}/"):
                self.file(path.partition(f"/resolve/{COMMIT}/")[2])
            else:
                self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET

        def file(self, name: str) -> None:
            if hub.refused:
                self.answer(hub.refused[0], b"{}", {"X-Error-Code": hub.refused[1]})
                return
            content = (hub.folder / name).read_bytes()
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            length = len(content)
            content = hub.sent.get(name, bytes)(content)
            headers = {"X-Repo-Commit": COMMIT, "ETag": '"x"', "Content-Length": str(length - start)}
            headers["Connection"] = "close"  # said, or the client may send the next request on it
            if start:
                headers["Content-Range"] = f"bytes {start}-{length - 1}/{length}"
            self.answer(206 if start else 200, content[start:], headers)

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}", folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
