"""Greedy soup: asks for one average after the other, and keeps what helps."""

from __future__ import annotations

from shanshui.flow import Flow
from shanshui.soup import average_name, greedy_soup

ORDER = ["epoch_299", "epoch_273", "epoch_298", "epoch_271"]
# what every average would score; 299 is best alone, 273 helps, 298 does not, 271 does
TRUTH = {"epoch_299": 28.0, "273+299": 26.9, "273+298+299": 27.2, "271+273+299": 26.5}


def test_asks_until_all_have_been_tried() -> None:
    known = {"epoch_299": 28.0}
    asked = []
    while (soup := greedy_soup(ORDER, known)).wanted:
        asked.append(soup.wanted)
        known[soup.wanted] = TRUTH[soup.wanted]
    assert asked == ["273+299", "273+298+299", "271+273+299"]
    assert soup.members == ("epoch_299", "epoch_273", "epoch_271")
    assert soup.model == "271+273+299"


def test_an_equal_average_is_no_gain_and_higher_can_be_better() -> None:
    assert greedy_soup(ORDER[:2], {"epoch_299": 1.0, "273+299": 1.0}).model == "epoch_299"
    values = {"epoch_299": 0.8, "273+299": 0.9}
    assert greedy_soup(ORDER[:2], values, lower=False).model == "273+299"
    assert greedy_soup(ORDER[:1], values).wanted is None


def test_names_are_those_of_the_workflow() -> None:
    names = {average_name(names) for names in (ORDER[:2], ORDER[1::-1], ORDER[:3], ORDER[:1])}
    assert names <= set(Flow.candidates(ORDER[:3]))
