"""CLADE and its positional encoding against outputs of the reference implementation under rule-made weights."""

from __future__ import annotations

import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map

from shanshui.architectures.spade_generator import SPADEGenerator
from shanshui.architectures.spade_weights import our_key
from shanshui.backend.runtime import load_jittor
from shanshui.data.edges import edges
from shanshui.data.positions import positions
from shanshui.nn.spade_block import BlockKind
from shanshui.storage.size import Size

jt = load_jittor()

CLASSES = 29


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, CLASSES)


@pytest.mark.parametrize("variant", ["plain", "dist", "edges", "edges_dist_z_instance"])
def test_generator(golden: Golden, variant: str) -> None:
    settings, arrays = golden("clade_generator")
    with_edges, with_positions, from_z = (part in variant for part in ("edges", "dist", "_z_"))
    kind = BlockKind(
        CLASSES, "clade_icpe" if with_positions else "clade", norm="instance" if from_z else "batch", edges=with_edges
    )
    network = SPADEGenerator(kind, 4, **({"z_dim": 256, "size": Size(96, 128)} if from_z else {}))
    golden.fill(network, settings["keys"][variant], our_key, power=1)
    network.eval()
    segmap = golden.segmap(arrays["label"])
    segmap = jt.concat([segmap, jt.array(arrays["edges"])], 1) if with_edges else segmap
    z = jt.array(arrays[f"{variant}:z"]) if from_z else None
    given = jt.array(arrays["dist_reference"]) if with_positions else None
    for name, found in network.trace(segmap, z, given):
        if (wanted := arrays.get(f"{variant}:{name}")) is not None:
            close_map(found.reshape(wanted.shape), wanted)
    close(network(segmap, z, given), arrays[f"{variant}:image"], IMAGE)


def test_edges_of_its_instances(golden: Golden) -> None:
    arrays = golden("clade_generator")[1]
    np.testing.assert_array_equal(edges(arrays["instance"]), arrays["edges"])


@pytest.mark.parametrize("name", ["diagonal", "blocks", "formula", "zeros"])
def test_positions(golden: Golden, name: str) -> None:
    """As the reference makes them where class 0 is not left out."""
    arrays = golden("icpe")[1]
    np.testing.assert_allclose(positions(arrays[f"{name}:label"]), arrays[f"{name}:all_classes_norm"], atol=1e-6)
