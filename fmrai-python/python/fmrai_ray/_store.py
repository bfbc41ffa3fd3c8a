"""Where parts keep what they have seen when no folder is seen by all machines: an object store."""

from __future__ import annotations

import hashlib
import posixpath
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Store:
    """What the parts of one plan have seen, by the URL of a folder that fsspec knows: ``s3://``, ``gs://``, ``abfs://``, ``file://``, ...

    Each file of the plan has a folder of its own below it, named by its hash, so a plan that was changed finds nothing of what it was before.
    """

    url: str
    plan: str

    @classmethod
    def of(cls, url: str, plan: Path) -> Store:
        """Of the plan as it is now."""
        return cls(url.rstrip("/"), hashlib.sha256(plan.read_bytes()).hexdigest()[:16])

    def get(self, part: str) -> bytes | None:
        """What a part has seen; ``None`` where it is not there."""
        system, path = self._place(part)
        try:
            found: bytes = system.cat_file(path)
        except FileNotFoundError:
            return None
        return found

    def put(self, part: str, packed: bytes) -> None:
        """Keeps what a part has seen. Whoever reads it meanwhile finds all of it, or nothing."""
        system, path = self._place(part)
        beside = f"{path}.{uuid.uuid4().hex}"
        system.makedirs(posixpath.dirname(path), exist_ok=True)
        system.pipe_file(beside, packed)
        system.mv(beside, path)

    def _place(self, part: str):  # type: ignore[no-untyped-def]
        from fsspec.core import url_to_fs

        return url_to_fs(f"{self.url}/{self.plan}/{part}.tar")
