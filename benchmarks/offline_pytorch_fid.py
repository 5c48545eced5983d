"""pytorch-fid itself, unmodified, with weights at hand and without torchvision's compiled operators.

    python benchmarks/offline_pytorch_fid.py WEIGHTS fid A B [options of pytorch-fid]
    python benchmarks/offline_pytorch_fid.py WEIGHTS features OUT.npz FOLDER...

The first is its command line. The second stores the features of the sorted pictures of each folder, averaged over
each map, as `<folder>_<size>` for the sizes 64, 192, 768 and 2048. WEIGHTS is a torch file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

# torchvision asks for these at import, and its wheels built for CUDA do not load beside torch for the CPU.
OPERATORS = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def use_weights(read: Callable[[], Mapping[str, Any]]) -> None:
    """Let pytorch-fid's networks take their state from `read` instead of the internet."""
    import pytorch_fid.inception

    pytorch_fid.inception.load_state_dict_from_url = lambda *_args, **_options: read()


def features(folder: Path) -> dict[int, np.ndarray]:
    """Size -> (N, size) of the sorted pictures of a folder, by pytorch-fid's reader and network."""
    from pytorch_fid.fid_score import ImagePathDataset
    from pytorch_fid.inception import InceptionV3
    from torchvision.transforms import ToTensor

    model = InceptionV3(list(InceptionV3.BLOCK_INDEX_BY_DIM.values())).eval()
    with torch.no_grad():
        rows = [model(photo[None]) for photo in ImagePathDataset(sorted(folder.iterdir()), ToTensor())]
    columns = [torch.cat(maps).mean((2, 3)).numpy() for maps in zip(*rows, strict=True)]
    return {column.shape[1]: column for column in columns}


def main() -> None:
    weights, mode, *rest = sys.argv[1:]
    use_weights(lambda: torch.load(weights, map_location="cpu", weights_only=True))
    if mode == "fid":
        from pytorch_fid import fid_score

        sys.argv = ["pytorch-fid", *rest]
        fid_score.main()
    elif mode == "features":
        out, *folders = map(Path, rest)
        np.savez(out, **{f"{f.name}_{size}": rows for f in folders for size, rows in features(f).items()})
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
