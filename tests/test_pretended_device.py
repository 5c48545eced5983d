"""Training and all else "on CUDA" where there is none: what goes through the host, and how much is launched.

The device is pretended (tests/pretended_cuda): kernels are generated, compiled without their bodies, and counted
instead of run. Numbers of launches follow from the code, not from the machine.
"""

from __future__ import annotations

from typing import Any

import pytest
from pretended_cuda import counting_nvcc
from pretended_cuda.checks import OTHERS, SEEN, STEPS, WORK, as_line, launched, summed_by_atomics, through_the_host
from pretended_cuda.compiling import asked_of
from pretended_cuda.runs import counting_device

SIDES = dict.fromkeys(OTHERS, (128, 128)) | {"pictures": (64, 128)}  # of pictures: height, width
FLOAT = 4  # bytes
LAUNCHES = {  # of a step: Jittor's kernels, and these with those of libraries; each some percent above what is counted
    "fading": (465, 890), "finetuning": (570, 1175), "patches": (905, 1475), "full_size": (590, 1200),
    "segmenter": (128, 175), "recipe:spade": (435, 795), "recipe:clade-icpe": (980, 1245),
    "recipe:ccfpse": (1010, 1580), "recipe:oasis": (790, 1220), "recipe:pix2pixhd": (545, 730),
}  # fmt: skip

CALLS = {"full_size": (9300, 5850), "recipe:spade": (6050, 3800)}  # calls of functions in Python, and of Jittor's
LATER = ("recipe:clade-icpe", "recipe:oasis", "recipe:pix2pixhd")  # in the drill: their kernels take minutes to compile


def marked(*names: str) -> list[Any]:
    """Names as parameters; those of LATER belong to the drill."""
    return [pytest.param(name, marks=pytest.mark.drill) if name in LATER else name for name in names]


class Counted(dict[str, Any]):
    """Counts of everything, by name and part, counted when they are first asked for."""

    def __missing__(self, name: str) -> Any:
        wanted = LATER if name in LATER else [each for each in WORK if each not in LATER]
        self.update(counting_device().run(*wanted, seconds=1500))
        return self[name]


@pytest.fixture(scope="module")
def counted() -> dict[str, Any]:
    return Counted()


def part(counted: dict[str, Any], name: str, which: str) -> dict[str, Any]:
    assert "error" not in counted[name], counted[name]["error"]
    counts: dict[str, Any] = counted[name][which]
    print(as_line(name, counts))
    return counts


@pytest.mark.parametrize("name", marked(*WORK))
def test_every_operation_has_a_form_for_devices(counted: dict[str, Any], name: str) -> None:
    """One that has none is refused there, by its name."""
    assert "error" not in counted[name], counted[name]["error"]


@pytest.mark.parametrize("name", marked(*STEPS, *OTHERS))
def test_step_does_not_wait_for_the_device(counted: dict[str, Any], name: str) -> None:
    """The segmenter's reads its loss, which is logged at once; on patches it reads how many there are."""
    read = {"segmenter": {"copies_down": 1}, "patches": {"waits": 1, "copies_down": 1}}.get(name, {})
    assert through_the_host(part(counted, name, "step")) == read


@pytest.mark.parametrize("name", marked(*STEPS, *OTHERS))
def test_step_is_the_same_every_time(counted: dict[str, Any], name: str) -> None:
    """Else something is made anew that could be kept."""
    first = "first step" if "first step" in counted[name] else "second step"
    assert launched(part(counted, name, "step")) <= launched(part(counted, name, first))


@pytest.mark.parametrize("name", marked(*STEPS, *OTHERS))
def test_few_launches(counted: dict[str, Any], name: str) -> None:
    counts, (kernels, together) = part(counted, name, "step"), LAUNCHES[name]
    assert counts["launches"] <= kernels, as_line(name, counts)
    assert launched(counts) <= together, as_line(name, counts)


@pytest.mark.parametrize("name", CALLS)
def test_few_calls_in_python(counted: dict[str, Any], name: str) -> None:
    """They are most of what the host does for a step: a function that looks all arrays up again would show here."""
    counts, (functions, of_jittor) = counted[name]["host"], CALLS[name]
    assert counts["functions"] <= functions, counts
    assert counts["of_jittor"] <= of_jittor, counts


@pytest.mark.parametrize(
    "name", marked("fading", "finetuning", "patches", "full_size", "recipe:spade", "recipe:pix2pixhd")
)
def test_sums_have_a_fixed_order(counted: dict[str, Any], name: str) -> None:
    """So that nothing but convolutions can keep bits from repeating."""
    sources = [kernel.source for kernel in asked_of(counting_device())]
    assert summed_by_atomics(part(counted, name, "step"), sources) == []


HOST = """
void jittor::FusedOp::jit_run() {
    auto op0_x = ((BinaryOp*)(ops[0]))->x;
    op0_index_t range0 = op0_x->shape[0];
    auto* __restrict__ op0_xp = op0_x->ptr<op0_Tx>();
    {
        int thread_num = 2097152;
        int tn0 = get_thread_range_log(thread_num_left, range0);
        func_9d_0<<<p1,p2>>>(range0,op0_xp,tn0);
    }
}
"""


def test_only_operations_that_launch_and_do_nothing_else_are_counted_without_a_compiler() -> None:
    assert counting_nvcc.only_launched(HOST) == ["func_9d_0"]
    for more in ("for (int i = 0; i<2; i++)", "cudaMemsetAsync(op0_xp, 0, 4, 0);", "if (range0) {", "op0_x->free();"):
        assert counting_nvcc.only_launched(HOST.replace("        func", f"        {more}\n        func")) == [], more


@pytest.mark.parametrize(
    ("kind", "launches", "calls"),
    [("transpose", 1, 0), ("a kernel of our own", 1, 0), ("convolution with gradients", 1, 6), ("sum", 5, 0)],
)
def test_what_is_launched_is_counted(counted: dict[str, Any], kind: str, launches: int, calls: int) -> None:
    """Also of operations that are counted without a compiler: that launch only, or hand over to a library's."""
    counts = part(counted, "operations", kind)
    assert (counts["launches"], counts["library_calls"]) == (launches, calls)


@pytest.mark.parametrize("name", marked("pictures", *OTHERS))
def test_a_picture_is_all_that_comes_back(counted: dict[str, Any], name: str) -> None:
    counts, (height, width) = part(counted, name, "picture"), SIDES[name]
    assert through_the_host(counts) == {"waits": 1, "copies_down": 1}
    assert counts["bytes_down"] == 3 * height * width * FLOAT


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen_is_all_that_comes_back(counted: dict[str, Any], name: str) -> None:
    """Features; of a segmenter, classes too."""
    arrays = 1 if name == "inception" else 2
    assert through_the_host(part(counted, name, "photographs")) == {"waits": arrays, "copies_down": arrays}


def test_states_are_read_array_by_array_and_put_back_without_waiting(counted: dict[str, Any]) -> None:
    arrays = counted["checkpoints"]["arrays"]
    assert part(counted, "checkpoints", "saving")["copies_down"] <= arrays
    assert through_the_host(part(counted, "checkpoints", "loading")) == {}


def test_losses_are_read_when_asked_for(counted: dict[str, Any]) -> None:
    losses = part(counted, "fading", "losses")
    assert losses["bytes_down"] == losses["copies_down"] * FLOAT > 0


def test_half_precision_convolutions_add_up_in_single_precision(counted: dict[str, Any]) -> None:
    calls = [call for call in part(counted, "operations", "half precision")["calls"] if " type 2 " in call]
    for kind in ("conv ", "gradient of x ", "gradient of w "):
        assert [call for call in calls if call.startswith(kind)], kind
    assert [call for call in calls if " compute 0 " not in call] == []


def test_memory_of_a_step_fits_a_card(counted: dict[str, Any]) -> None:
    """A step of fine-tuning at 512x384, without what convolutions want to work in."""
    assert part(counted, "full_size", "step")["bytes_peak"] < 8 * 1024**3
