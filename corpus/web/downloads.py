"""Pages as they were last fetched, kept below the store's home.

They make conditional requests possible, and a server that can't be reached today does not take its pages
out of the corpus. One file per address: a line of JSON, then the body, together in gzip.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from corpus.atomic import whole_file

# Goes up when bodies are taken out of their encodings otherwise: pages of before are asked for anew.
DECODING = 2


@dataclass(frozen=True)
class Page:
    """What is known of one address: its last body, or the reason why there is none.

    `etag` and `last_modified` are the server's words, `listed_as_changed` the sitemap's at that time;
    `decoding` is the `DECODING` that it was kept with.
    """

    url: str
    body: bytes = b""
    final_url: str = ""
    charset: str | None = None
    etag: str = ""
    last_modified: str = ""
    listed_as_changed: str = ""
    reason: str = ""
    detail: str = ""
    decoding: int = DECODING

    @property
    def version(self) -> str:
        """Changes with the body, or with the reason why there is none."""
        return blake2b(self.body + f"\n{self.reason}\n{self.detail}".encode(), digest_size=16).hexdigest()


class Downloads:
    """The pages of one source."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load(self, url: str) -> Page | None:
        """The page as it was last kept."""
        try:
            stated, _, body = gzip.decompress(self._path(url).read_bytes()).partition(b"\n")
            return Page(body=body, **{"decoding": 1, **json.loads(stated)})
        except (OSError, EOFError, zlib.error, ValueError, TypeError):
            return None  # not kept, or damaged: it is fetched again

    def keep(self, page: Page) -> None:
        """Put the page in the place of the one that was kept for its address."""
        stated = {name: value for name, value in asdict(page).items() if name != "body"}
        content = gzip.compress(json.dumps(stated).encode() + b"\n" + page.body, compresslevel=6, mtime=0)
        with whole_file(self._path(page.url)) as unfinished:
            unfinished.write_bytes(content)

    def forget_all_but(self, urls: Iterable[str]) -> None:
        """Remove the pages of all other addresses."""
        names = {self._path(url).name for url in urls}
        for path in self.directory.glob("*"):
            if path.name not in names:
                path.unlink()

    def _path(self, url: str) -> Path:
        return self.directory / f"{blake2b(url.encode(), digest_size=16).hexdigest()}.gz"
