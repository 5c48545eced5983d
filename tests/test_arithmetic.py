"""Precision and repeatable algorithms: options, the header around cuDNN's, rounded convolutions, what is recorded."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pretended_cuda.runs import counting_device

from shanshui.backend import arithmetic
from shanshui.backend.arithmetic import Arithmetic, rounded
from shanshui.backend.cudnn_header import DETERMINISTIC, PRECISION, cudnn_header
from shanshui.backend.runtime import load_jittor
from shanshui.config.settings import arithmetic_text, stage_settings, validate
from shanshui.config.training_settings import TrainingConfig
from shanshui.errors import UsageError
from shanshui.report import tables

jt = load_jittor()
PRETENDED = Path(__file__).parent / "pretended_cuda"
FLOAT, BFLOAT16 = 0, 9  # cuDNN's types, and its math types
DEFAULT, TENSOR_OP, FMA = 0, 1, 3
TIMED, LISTED = "search for an algorithm", "choice of an algorithm"

# --- the header ---------------------------------------------------------------------------------------

PROGRAM = """
#include <cudnn.h>
#include <cstdio>
#include <cstdlib>
extern "C" void pretended_call(const char* text) { std::puts(text); }
int main(int count, char** arguments) {
    const auto type = (cudnnDataType_t)std::atoi(arguments[1]);
    const int sizes[] = {1, 2, 8, 8}, kernel[] = {4, 2, 3, 3}, strides[] = {1, 1}, wanted = 2;
    cudnnTensorDescriptor_t x;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t c;
    cudnnCreateTensorDescriptor(&x), cudnnCreateFilterDescriptor(&w), cudnnCreateConvolutionDescriptor(&c);
    cudnnSetTensorNdDescriptor(x, type, 4, sizes, sizes);
    cudnnSetFilterNdDescriptor(w, type, CUDNN_TENSOR_NCHW, 4, kernel);
    cudnnSetConvolutionNdDescriptor(c, 2, strides, strides, strides, CUDNN_CROSS_CORRELATION, type);
    if (count > 2) cudnnSetConvolutionMathType(c, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION);
    cudnnConvolutionFwdAlgoPerf_t forward[wanted];
    cudnnConvolutionBwdDataAlgoPerf_t data[wanted];
    cudnnConvolutionBwdFilterAlgoPerf_t filter[wanted];
    int found;
    cudnnFindConvolutionForwardAlgorithmEx(nullptr, x, x, w, w, c, x, x, wanted, &found, forward, nullptr, 0);
    for (const auto& one : forward)
        if (one.status == CUDNN_STATUS_SUCCESS) {
            cudnnConvolutionForward(nullptr, x, x, x, w, w, c, one.algo, nullptr, 0, x, x, x);
            break;
        }
    cudnnFindConvolutionBackwardDataAlgorithmEx(nullptr, w, w, x, x, c, x, x, wanted, &found, data, nullptr, 0);
    cudnnConvolutionBackwardData(nullptr, x, w, w, x, x, c, data[0].algo, nullptr, 0, x, x, x);
    cudnnFindConvolutionBackwardFilterAlgorithmEx(nullptr, x, x, x, x, c, w, w, wanted, &found, filter, nullptr, 0);
    cudnnConvolutionBackwardFilter(nullptr, x, x, x, x, x, c, filter[0].algo, nullptr, 0, x, w, w);
    cudnnGetConvolutionForwardAlgorithm_v7(nullptr, x, w, c, x, wanted, &found, forward);
    std::printf("first of a list %d, %d of them\\n", forward[0].algo, found);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that asks cuDNN for convolutions as Jittor does."""
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("no g++")
    folder = tmp_path_factory.mktemp("program")
    (folder / "cudnn.h").write_text(cudnn_header(PRETENDED / "include" / "cudnn.h", 9))
    (folder / "main.cc").write_text(PROGRAM)
    sources = [folder / "main.cc", PRETENDED / "libraries" / "cudnn.cc"]
    flags = ["-std=c++17", f"-I{folder}", f"-I{PRETENDED / 'include'}"]
    subprocess.run([compiler, *flags, *sources, "-o", folder / "program"], check=True)
    return folder / "program"


def asked(program: Path, kind: int, *more: str, **environment: str) -> tuple[list[str], list[tuple[int, ...]], str]:
    """How algorithms were found; type, sums, math and algorithm of the three convolutions; what was listed."""
    said = subprocess.run([program, str(kind), *more], env=environment, capture_output=True, text=True, check=True)
    lines = said.stdout.splitlines()
    convolutions = [line.split(" type ")[1].split() for line in lines if " type " in line]
    found = [tuple(int(words[i]) for i in (0, 2, 4, 6)) for words in convolutions]
    return [line for line in lines if line.endswith("an algorithm")], found, lines[-1]


def test_single_precision_is_not_rounded_unless_asked(program: Path) -> None:
    how, convolutions, _ = asked(program, FLOAT)
    assert how == [TIMED] * 3 + [LISTED]
    assert convolutions == [(FLOAT, FLOAT, FMA, 2)] * 3
    assert asked(program, FLOAT, **{PRECISION: "tf32"})[1] == [(FLOAT, FLOAT, DEFAULT, 2)] * 3
    assert asked(program, FLOAT, **{PRECISION: "bf16"})[1] == [(FLOAT, FLOAT, FMA, 2)] * 3


def test_inputs_are_never_converted_and_sums_are_single(program: Path) -> None:
    """Jittor asks for conversion wherever it may use tensor cores."""
    assert asked(program, BFLOAT16, "tensor cores", **{PRECISION: "bf16"})[1] == [(BFLOAT16, FLOAT, TENSOR_OP, 2)] * 3
    assert asked(program, FLOAT, "tensor cores", **{PRECISION: "tf32"})[1] == [(FLOAT, FLOAT, TENSOR_OP, 2)] * 3


def test_bits_repeat_by_an_algorithm_that_does_and_is_not_chosen_by_its_time(program: Path) -> None:
    how, convolutions, listed = asked(program, FLOAT, **{DETERMINISTIC: "1"})
    assert how == [LISTED] * 4
    assert [algorithm for *_, algorithm in convolutions] == [1, 1, 1]
    assert listed == "first of a list 1, 2 of them"
    assert asked(program, FLOAT, **{DETERMINISTIC: "0"})[2] == "first of a list 2, 2 of them"


# --- rounded convolutions -----------------------------------------------------------------------------


def bits(array: np.ndarray) -> np.ndarray:
    """float32 rounded to bfloat16, to the nearest, halves to even."""
    whole = array.view(np.uint32).astype(np.uint64)
    return (((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16) << 16).astype(np.uint32).view(np.float32)


def test_a_rounded_convolution_has_rounded_inputs_and_full_weights() -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 1, 3, 3), (3, 1, 1, 1), (3,)))
    given = [jt.array(one) for one in (x, weight, bias)]
    y = rounded(jt.nn.conv2d)(*given)
    exact = jt.nn.conv2d(jt.array(bits(x)), jt.array(bits(weight)), given[2])
    gradients, wanted = (jt.grad((one * one).sum(), given) for one in (y, jt.nn.conv2d(*given)))
    jt.sync([y, exact, *gradients, *wanted])
    assert {str(one.dtype) for one in (y, *gradients)} == {"float32"}
    scale = np.abs(exact.numpy()).max()
    np.testing.assert_allclose(y.numpy(), exact.numpy(), atol=0.01 * scale)  # Jittor on a CPU sums in bfloat16
    assert np.abs(y.numpy() - jt.nn.conv2d(*given).numpy()).max() > 1e-4 * scale, "nothing was rounded"
    for one, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=0.06 * np.abs(other.numpy()).max())


def test_convolutions_with_groups_are_not_rounded() -> None:
    seen: list[Any] = []
    rounded(lambda x, *rest: seen.append(x.dtype))(jt.ones((1, 2, 4, 4)), jt.ones((2, 1, 3, 3)), groups=2)
    assert seen == ["float32"]


def test_a_step_in_bfloat16_on_a_device() -> None:
    """Every convolution and both of its gradients, with sums in single precision."""
    counts = counting_device().run("bfloat16")["bfloat16"]
    assert "error" not in counts, counts["error"]
    calls = counts["rounded"]["calls"].items()
    times = {call.partition(" x 2 8 ")[0]: count for call, count in calls if not call.startswith("gemm")}
    assert times == {"conv": 2, "gradient of x": 2, "gradient of w": 2}
    for call in counts["rounded"]["calls"]:
        if call.startswith(("conv ", "gradient of ")):
            assert f" type {BFLOAT16} compute {FLOAT} math {TENSOR_OP} " in call
        if call.startswith("gemm "):
            assert call.endswith(" compute 77"), "CUBLAS_COMPUTE_32F_FAST_TF32"
    plain = [call for call in counts["plain"]["calls"] if call.startswith(("conv ", "gradient of "))]
    assert plain
    assert all(f" type {FLOAT} compute {FLOAT} math {FMA} " in call for call in plain)


# --- options ------------------------------------------------------------------------------------------


def test_a_cpu_refuses_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "jt", SimpleNamespace(flags=SimpleNamespace(use_cuda=0)))
    for precision in ("tf32", "bf16"):
        with pytest.raises(UsageError, match=f"precision {precision} on a CPU"):
            arithmetic.use(Arithmetic(precision))  # type: ignore[arg-type]
    arithmetic.use(Arithmetic("fp32", deterministic=True))  # as always


def test_a_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nn = SimpleNamespace(conv2d=len, conv=len, Conv=SimpleNamespace(execute=len))
    jittor = SimpleNamespace(flags=SimpleNamespace(use_cuda=1, use_tensorcore=0), nn=nn)
    monkeypatch.setattr(arithmetic, "jt", jittor)
    told: dict[str, str] = {}
    monkeypatch.setattr(arithmetic, "os", SimpleNamespace(environ=told))
    arithmetic.use(Arithmetic())
    assert told == {PRECISION: "fp32", DETERMINISTIC: "0"}
    assert (jittor.flags.use_tensorcore, nn.conv2d) == (0, len)
    arithmetic.use(Arithmetic("tf32", deterministic=True))
    assert told == {PRECISION: "tf32", DETERMINISTIC: "1"}
    assert (jittor.flags.use_tensorcore, nn.conv2d) == (1, len)
    arithmetic.use(Arithmetic("bf16"))
    assert jittor.flags.use_tensorcore == 1
    assert nn.conv2d is nn.conv is not len
    assert nn.Conv.execute is not len


def test_options_reach_the_stages_and_defaults_leave_settings_as_they_were() -> None:
    config = validate({
        "pretrain": {"precision": "tf32"}, "finetune": {"precision": "bf16", "deterministic": True},
        "generate": {"precision": "tf32"},
    })  # fmt: skip
    assert TrainingConfig.of(stage_settings(config, "pretrain"), "pretrain").options.arithmetic == Arithmetic("tf32")
    finetune = TrainingConfig.of(stage_settings(config, "finetune"), "finetune").options
    assert finetune.arithmetic == Arithmetic("bf16", deterministic=True)
    assert finetune.arithmetic.record() == {"precision": "bf16", "deterministic": True}
    assert stage_settings(config, "generate")["precision"] == "tf32"
    for stage in ("pretrain", "finetune"):
        assert not {"precision", "deterministic"} & stage_settings(validate({}), stage)[stage].keys()
    assert not {"precision", "deterministic"} & stage_settings(validate({}), "generate").keys()
    assert "arithmetic" not in stage_settings(validate({}), "table")


def test_a_table_says_what_was_computed_how() -> None:
    text = arithmetic_text(validate({"finetune": {"precision": "bf16", "deterministic": True}}))
    assert text == "pretrain fp32; finetune bf16, deterministic; generate fp32"
    assert arithmetic_text(validate({})) == ""
    row = {"features": "", "holdout_n": 4, "holdout_swd": 1.0, tables.ARITHMETIC: text}
    assert f"- Networks were computed on a GPU: {text}; all metrics in fp32." in tables.features_lines([row])
    assert not any("GPU" in line for line in tables.features_lines([row | {tables.ARITHMETIC: ""}]))


def test_a_precision_of_gpus_without_gpus_is_refused() -> None:
    with pytest.raises(UsageError, match=r"finetune\.precision tf32 needs a GPU, and gpus is 0"):
        validate({"gpus": 0, "finetune": {"precision": "tf32"}})
    with pytest.raises(UsageError, match=r"generate\.precision"):
        validate({"generate": {"precision": "fp16"}})
