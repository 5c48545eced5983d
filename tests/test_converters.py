"""Weights of other implementations: an architecture, also a plug-in's, says in its file how they become ours."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from test_plugins import install, python

from shanshui.__main__ import main
from shanshui.architectures.converter import Converted, Converter, Given, converters_of
from shanshui.architectures.registry import GENERATORS
from shanshui.architectures.segmenters import CONVERTERS
from shanshui.architectures.spade import Spade
from shanshui.config.stages import with_settings
from shanshui.errors import EXIT_USAGE, ShanshuiError
from shanshui.pipeline.code_dependencies import Sources
from shanshui.storage import checkpoint

TOY = '''"""One convolution, whose weights another implementation calls `kernel` and `offset`."""

from typing import ClassVar, Literal

from shanshui.architectures.base import Generator, architecture
from shanshui.architectures.converter import Converted, Converter, Given, translate


def convert(given):
    arrays = translate(given.states["G"], {"kernel": "weight", "offset": "bias"}.get)
    channels = arrays["weight"].shape[1] - given.edges
    meta = given.meta(given.data(channels, given.size), {"generator": {"name": "toy"}}, given.edges)
    return Converted({"G": arrays}, meta)


@architecture
class ToyGenerator(Generator):
    inputs: ClassVar = frozenset({"edges"})
    converters: ClassVar = {
        "toy": Converter("toys of another shop", convert, optional="", options=frozenset({"classes", "edges"})),
    }

    name: Literal["toy"] = "toy"

    def build(self):
        import jittor as jt

        return jt.nn.Conv(self.num_classes + self.edges, 3, 3, padding=1), None

    def generate(self, G, E, conditioning, noise_source, step):
        return G(conditioning.with_edges()).tanh()
'''


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in."""
    folder = tmp_path_factory.mktemp("toys")
    install(folder, "toy_network", "shanshui.architectures", TOY)
    return folder


def test_architecture_from_outside_with_its_weights(installed: Path, tmp_path: Path) -> None:
    state = {"kernel": np.ones((3, 3, 3, 3), np.float32), "offset": np.zeros(3, np.float32), "step": np.ones(1)}
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(state))
    weights = tmp_path / "W.safetensors"
    call = ["-m", "shanshui", "import", "toy", "--generator", str(tmp_path / "net.pkl"), "--out", str(weights)]
    assert "toys of another shop" in python(installed, "-m", "shanshui", "import", "--help").stdout
    python(installed, *call, "--edges", "--classes", "sky,sea")
    found = checkpoint.load(weights)
    assert found.part("G").keys() == {"weight", "bias"}
    assert (found.meta["data"]["classes"], found.meta["model"]["edges"]) == (["sky", "sea"], "label")
    assert found.meta["imported"].keys() == {"net.pkl"}
    assert (
        "unrecognized arguments: --upsampling more" in python(installed, *call, "--upsampling", "more", code=2).stderr
    )
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(state | {"offset": np.full(3, np.inf, np.float32)}))
    said = python(installed, *call, "--force", code=1).stderr
    assert "net.pkl: bias holds numbers that are not finite" in said
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(state | {"offset": np.zeros(4, np.float32)}))
    assert "net.pkl" in python(installed, *call, "--force", code=1).stderr


def test_converters_of_the_package() -> None:
    found = converters_of(GENERATORS.values())
    assert found.keys() == {"apf", "spade", "clade", "ccfpse"}
    assert {name: one.kind for name, one in CONVERTERS.items()} == {"segformer": "segmenter"}
    assert (found["apf"].required, found["apf"].optional) == ("GE", "D")


def test_two_converters_of_one_name_are_refused() -> None:
    class Other(Spade):
        converters: ClassVar[dict[str, Converter]] = {"spade": Converter("another", lambda given: Converted({}, {}))}

    with pytest.raises(ShanshuiError, match="two converters of the name spade"):
        converters_of([*GENERATORS.values(), Other])
    with pytest.raises(ShanshuiError, match="two converters of the name apf"):
        converters_of(GENERATORS.values(), {"apf": CONVERTERS["segformer"]})


def test_sources_that_are_not_known_are_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["import", "dcgan"])
    assert ended.value.code == EXIT_USAGE
    assert "'apf', 'spade', 'clade', 'ccfpse', 'segformer'" in capsys.readouterr().err


def test_what_an_encoder_and_a_discriminator_must_agree_on() -> None:
    given = Given({}, {"G": "net_G", "E": "net_E", "D": "net_D"})
    given.check_styles(3, 3)
    with pytest.raises(ShanshuiError, match="net_E makes styles of 3 numbers"):
        given.check_styles(3, 0)
    with pytest.raises(ShanshuiError, match="net_D sees 3 channels"):
        given.check_channels(3, 4)


def test_a_changed_converter_trains_nothing_again() -> None:
    code = Sources()
    for stage in with_settings():
        modules = code.stage(stage).keys()
        assert not [name for name in modules if name.endswith(("_weights", ".converter"))], stage
