"""Every kind of scene by name: `SCENES` with its share of the images, `PURE` those of a single class."""

from __future__ import annotations

from collections.abc import Callable

from shanshui.landscapes.light import Light
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery
from shanshui.landscapes.scenes import coasts, country, lakes, mountains, plains, pure, rivers, woods

Builder = Callable[[RandomSource, Light], Scenery]

SCENES: dict[str, tuple[Builder, float]] = {
    "lake": (lakes.lake, 0.15),
    "bay_town": (lakes.bay_town, 0.04),
    "pond": (lakes.pond, 0.06),
    "river": (rivers.river, 0.10),
    "karst": (rivers.karst_river, 0.08),
    "waterfall": (rivers.waterfall, 0.06),
    "beach": (coasts.beach, 0.11),
    "cliffs": (coasts.cliffs, 0.05),
    "alps": (mountains.alps, 0.08),
    "ridges": (mountains.ridges, 0.05),
    "great_wall": (mountains.great_wall, 0.03),
    "fields": (country.fields, 0.07),
    "road": (country.road, 0.07),
    "village": (country.village, 0.05),
    "sand_sea": (plains.sand_sea, 0.03),
    "stony_desert": (plains.stony_desert, 0.02),
    "steppe": (plains.steppe, 0.04),
    "woods": (woods.woods, 0.05),
}
PURE: dict[str, Builder] = {
    "only_sky": pure.only_sky,
    "only_sea": pure.only_sea,
    "only_grass": pure.only_grass,
    "only_mountain": pure.only_mountain,
    "only_trees": pure.only_trees,
    "only_sand": pure.only_sand,
}
