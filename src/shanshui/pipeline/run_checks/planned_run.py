"""A configured run, as its checks see it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config
from shanshui.pipeline.network_counts import find_counts
from shanshui.pipeline.run_paths import RunPaths


@dataclass(frozen=True)
class PlannedRun:
    """A configured run; `local` says that its jobs run on this machine."""

    config: Config
    local: bool = True

    @functools.cached_property
    def counts(self) -> NetworkCounts | str:
        """Return the parameter counts of its networks, or why there are none."""
        return find_counts(self.config)

    @property
    def run_paths(self) -> RunPaths:
        """Return the run's file names."""
        return RunPaths(self.config)
