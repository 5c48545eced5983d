"""Layer sizes of CC-FPSE's generator (Liu et al. 2019).

With c = base_channels and n halvings, level j of the pyramid over the label map (j = 0 .. n, c channels,
2^(j - n) of the size) conditions the blocks of its size:

block          head_0  G_middle_0  G_middle_1  up_0  up_1  up_2  up_3
channels out   16c     16c         16c         8c    4c    2c    c
level, n = 5   0       1           1           2     3     4     5     upsampling "normal"
level, n = 6   0       1           2           3     4     5     6     upsampling "more"
"""

from __future__ import annotations

from typing import Literal

Upsampling = Literal["normal", "more"]

HALVINGS = {"normal": 5, "more": 6}
BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
WIDTHS = (16, 16, 16, 16, 8, 4, 2, 1)  # of the trunk before, between and after the blocks, / base_channels
LEVELS = {"normal": (0, 1, 1, 2, 3, 4, 5), "more": (0, 1, 2, 3, 4, 5, 6)}  # of each block
TAPS = 9  # of a 3x3 kernel, row by row
HIDDEN = 128  # channels inside the small networks that predict weights and gates
