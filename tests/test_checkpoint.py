"""Weights on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256


def test_round_trip_with_metadata(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save(
        path,
        {"G.a": np.eye(2, dtype=np.float32), "E.b": np.zeros(3, np.float32)},
        epoch=7,
        parity={"x": "on"},
    )
    loaded = checkpoint.load(path)
    assert np.array_equal(loaded.part("G")["a"], np.eye(2))
    assert list(loaded.part("E")) == ["b"]
    assert (loaded.meta["epoch"], loaded.meta["parity"]) == (7, {"x": "on"})
    assert loaded.meta["shanshui"].startswith("0.")


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    a, b = np.ones(3, np.float32), np.zeros(2, np.float32)
    checkpoint.save(tmp_path / "1.safetensors", {"a": a, "b": b}, x=1, y=2)
    checkpoint.save(tmp_path / "2.safetensors", {"b": b, "a": a}, y=2, x=1)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_truncated_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, {"a": np.ones(1000, np.float32)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ShanshuiError, match="not a whole safetensors file"):
        checkpoint.load(path)
    with pytest.raises(ShanshuiError, match="does not exist"):
        checkpoint.load(tmp_path / "none.safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.ones(1, np.float32)}, path)
    with pytest.raises(ShanshuiError, match="without shanshui's metadata"):
        checkpoint.load(path)


def test_check_keys_names_every_kind_of_difference() -> None:
    found = {"a": np.zeros(2), "c": np.zeros(1), "d": np.zeros((2, 2))}
    with pytest.raises(ShanshuiError) as caught:
        checkpoint.check_keys(found, {"a": (2,), "b": (1,), "d": (2, 3)}, "w.safetensors")
    text = str(caught.value)
    for words in ("w.safetensors", "missing b", "unexpected c", "d has shape (2, 2), expected (2, 3)"):
        assert words in text


def test_identity_is_in_the_metadata_where_it_was_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"a": np.arange(3, dtype=np.float32)}
    plain, named = tmp_path / "plain.safetensors", tmp_path / "named.safetensors"
    checkpoint.save(plain, arrays)
    checkpoint.save(named, arrays, fingerprint=checkpoint.fingerprint(arrays), epoch=3)
    assert checkpoint.identity(plain) == sha256(plain)
    monkeypatch.setattr(checkpoint, "sha256", lambda path: pytest.fail("the whole file was read"))
    assert checkpoint.identity(named) == checkpoint.fingerprint(checkpoint.load(named).arrays)
    assert checkpoint.read_meta(named)["epoch"] == 3


@pytest.mark.parametrize(
    "other", [{"b": np.arange(3, dtype=np.float32)}, {"a": np.arange(3, dtype=np.int32)},
              {"a": np.arange(3, dtype=np.float32)[None]}, {"a": np.array([0, 1, 3], np.float32)}],
    ids=["name", "type", "shape", "number"],
)  # fmt: skip
def test_fingerprint_tells_apart(other: dict[str, np.ndarray]) -> None:
    assert checkpoint.fingerprint(other) != checkpoint.fingerprint({"a": np.arange(3, dtype=np.float32)})
