"""Edges between objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_sets import Pairs
from PIL import Image

from shanshui.data.instances import instance_edges, scan_instances
from shanshui.storage.size import Size


def test_both_pixels_of_a_differing_pair_are_on_the_edge() -> None:
    instances = np.array([[7, 7, 7, 9], [7, 7, 7, 9], [7, 7, 7, 7]])
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert instance_edges(instances).astype(int).tolist() == expected


def test_a_lone_pixel_marks_its_four_neighbours() -> None:
    instances = np.zeros((5, 5), np.int32)
    instances[2, 2] = 26001
    edges = instance_edges(instances)
    assert edges.sum() == 5
    assert edges[[2, 1, 3, 2, 2], [2, 2, 2, 1, 3]].all()


def test_one_object_has_no_edge() -> None:
    assert not instance_edges(np.full((3, 4), 5, np.uint8)).any()
    assert not instance_edges(np.zeros((1, 1), np.uint8)).any()


def test_edges_of_a_transposed_and_a_mirrored_map_are_the_same() -> None:
    instances = np.random.default_rng(0).integers(0, 3, (9, 12))
    edges = instance_edges(instances)
    np.testing.assert_array_equal(instance_edges(instances.T), edges.T)
    np.testing.assert_array_equal(instance_edges(instances[:, ::-1]), edges[:, ::-1])


def test_numbers_above_a_byte_are_told_apart(tmp_path: Path) -> None:
    numbers = np.full((4, 8), 26000, np.uint16)
    numbers[:, 4:] = 26256  # the same low byte
    Image.fromarray(numbers).save(tmp_path / "i.png")
    found = scan_instances(tmp_path / "i.png")
    assert (found.size, found.edges, found.problem) == (Size(height=4, width=8), 0.25, "")
    (tmp_path / "i.png").write_bytes(b"no")
    assert "cannot be read" in scan_instances(tmp_path / "i.png").problem


def test_real_instance_maps(pairs: Pairs) -> None:
    """Where classes meet, objects mostly do as well; and there are edges within classes besides."""
    folder = pairs("coco_stuff_sample")
    for path in sorted((folder / "train_inst").iterdir())[:4]:
        classes = np.asarray(Image.open(folder / "train_label" / path.name))
        of_objects, of_classes = instance_edges(np.asarray(Image.open(path))), instance_edges(classes)
        assert of_objects[of_classes].mean() > 0.8
        assert of_objects.mean() > of_classes.mean()
