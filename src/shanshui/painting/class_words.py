"""Chinese names and groups of the classes on the palette."""

from __future__ import annotations

from shanshui.data.landscape_classes import CLASSES

IN_ORDER = (  # of the ids
    "山 天空 水面 海 岩石 树 泥土 丘陵 河流 沙地 土地 建筑 草地 植物 人 小船 瀑布 墙 码头 小路 湖 桥 田野 道路 栏杆 "
    "篱笆 大船 房屋 其他"
)
CHINESE = dict(zip(CLASSES, IN_ORDER.split(" "), strict=True))
GROUPS = {
    "sky": "sky",
    "land": "mountain hill rock earth land sand field grass path road",
    "plants": "tree plant",
    "water": "water sea river lake waterfall",
    "built": "building house wall bridge pier railing fence",
    "things": "person boat ship",
}
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names.split()}


def chinese_name(name: str) -> str:
    """Return the Chinese name of a class of the contest, else the name as it is."""
    return CHINESE.get(name.lower(), name)


def group_of(name: str) -> str:
    """Return the group of a class: sky, land, plants, water, built, things or other."""
    return _GROUP_OF.get(name.lower(), "other")
