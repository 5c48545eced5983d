"""The command `shanshui paint`: what it prints, and what it says where something is missing or taken."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_weights import save_apf

from shanshui.__main__ import main
from shanshui.painting import launch
from shanshui.storage import checkpoint


def test_files_that_hold_no_generator_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("segmenter.safetensors", {}, kind="segmenter")
    Path("text.safetensors").write_text("text")
    for name, said in (("absent", "does not exist"), ("text", "not a whole safetensors file"),
                       ("segmenter", "holds no generator")):  # fmt: skip
        assert main(["paint", "--weights", f"{name}.safetensors", "--port", "0"]) != 0
        assert said in capsys.readouterr().err


def test_taken_port_is_said_with_the_remedy() -> None:
    from shanshui.errors import ShanshuiError

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ShanshuiError, match=f"port {port} is taken") as refused:
            launch.listening("127.0.0.1", port)
        assert f"--port {port + 1}" in refused.value.do
        assert str(os.getpid()) in refused.value.found
    with pytest.raises(ShanshuiError, match=r"203\.0\.113\.1"):
        launch.listening("203.0.113.1", 0)


@pytest.mark.parametrize(
    "words", [["--port", "x"], ["--port", "70000"], ["--seed", "-1"], ["--live", "maybe"], ["--threads", "0"]]
)
def test_arguments_are_checked(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["paint", "--weights", "w.safetensors", *words])
    assert words[0] in capsys.readouterr().err


def test_open_access_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("w.safetensors", {}, kind="generator")
    assert main(["paint", "--weights", "w.safetensors", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "--allow-host NAME" in capsys.readouterr().err


def test_command_serves_until_interrupted(tmp_path: Path) -> None:
    """One line with the address, one when the weights are loaded; Ctrl-C ends server and worker."""
    weights = save_apf(tmp_path / "w.safetensors")
    words = ["paint", "--weights", str(weights), "--port", "0", "--seed", "5", "--live", "off", "--threads", "1"]
    command = [sys.executable, "-m", "shanshui", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            found = re.match(r"http://127\.0\.0\.1:(\d+)/  loading ", first)
            assert found, first
            second = process.stdout.readline()
            assert re.fullmatch(r"w \(apf\), 128x64: \d+\.\d\d s an image\n", second), second
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
            connection.request("GET", "/api/model")
            model = json.loads(connection.getresponse().read())
            assert (model["seed"], model["live"], model["weights"]) == (5, False, [{"number": 0, "name": "w"}])
            connection.close()
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert time.monotonic() - start < 15
            assert process.stdout.read() == ""
        finally:
            process.kill()
