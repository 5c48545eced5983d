"""The worker process behind the drawing page: turns, newer drawings, accidents, states, memory, other weights."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from paint_server import IDS, QUICK, STAND_IN, Reply, Running, running
from paint_stand_in import EXIT, GATE, HANG, KILL, MEMORY, REFUSE, Colouring
from PIL import Image
from test_paint_api import DRAWING, PALETTE, PIXELS, decoded

from shanshui.data.patches import find_patches
from shanshui.painting import frames
from shanshui.painting.context import Options
from shanshui.painting.engine import Offer
from shanshui.painting.frames import Job
from shanshui.painting.job_queue import JobQueue
from shanshui.painting.jobs import Jobs
from shanshui.painting.limits import Limits
from shanshui.storage.size import Size


@dataclasses.dataclass
class Gated:
    """A server whose images of the seed GATE wait until the gate is open."""

    server: Running
    gate: Path

    def close(self, pool: ThreadPoolExecutor) -> Future[Reply]:
        """Ask for an image that waits, and see that the worker has it."""
        self.gate.unlink(missing_ok=True)
        drawn = later(pool, self.server, 0, seed=GATE, format=next(FORMATS))
        until(lambda: self.server.engine.state.name == "painting")
        return drawn

    def open(self) -> None:
        self.gate.touch()


FORMATS = itertools.cycle(("png", "jpeg"))


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    folder = tmp_path_factory.mktemp("gated")
    with running(folder, "--gate", str(folder / "gate"), limits=dataclasses.replace(QUICK, cached=0)) as server:
        yield Gated(server, folder / "gate")


def one_class(number: int) -> bytes:
    return bytes([number]) * PIXELS


def later(pool: ThreadPoolExecutor, server: Running, value: int, **query: object) -> Future[Reply]:
    return pool.submit(server.paint, one_class(value), **{"format": "png", **query})


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# --- turns --------------------------------------------------------------------------------------------


def test_newest_drawing_of_a_client_wins(gated: Gated) -> None:
    server = gated.server
    with ThreadPoolExecutor(8) as pool:
        first = gated.close(pool)
        drawn = [later(pool, server, 1, client="a", number=1)]
        until(lambda: len(server.engine.queue) == 1)
        for number in range(2, 5):
            drawn.append(later(pool, server, number, client="a", number=number))
            assert drawn[-2].result().status == 204
        assert server.paint(one_class(9), client="a", number=2).status == 204
        assert len(server.engine.queue) == 1
        gated.open()
        assert first.result().status == 200
        assert drawn[0].result().headers["x-number"] == "1"
        np.testing.assert_array_equal(decoded(drawn[-1].result())[0, 0], PALETTE[4])


def test_clients_take_turns_and_see_their_place(gated: Gated) -> None:
    server = gated.server
    with ThreadPoolExecutor(8) as pool:
        first = gated.close(pool)
        asked: list[Future[Reply]] = []
        for client, route in (("a", "paint"), ("a", "export"), ("a", "export"), ("b", "paint"), ("c", "paint")):
            path = f"/api/{route}?width=128&height=96&client={client}"
            asked.append(pool.submit(server.ask, "POST", path, one_class(2), IDS))
            until(lambda: len(server.engine.queue) == len(asked))
        states = [next(server.events(client)) for client in ("a", "b", "c", "")]
        assert [(each["state"], each["place"], each["queue"]) for each in states] == [
            ("waiting", 1, 5), ("waiting", 2, 5), ("waiting", 3, 5), ("painting", None, 5),
        ]  # fmt: skip
        gated.open()
        assert [each.result().status for each in (first, *asked)] == [200] * 6


def test_client_whose_turn_was_longest_ago_is_next() -> None:
    async def taken() -> list[str]:
        queue, job = JobQueue(8), frames.Job(do="export")
        for client in "aaabc":
            queue.put(client, job, b"")
        return [(await queue.get()).client for _ in range(5)]

    assert asyncio.run(taken()) == list("abcaa")


def test_eight_jobs_wait(gated: Gated) -> None:
    server = gated.server
    with ThreadPoolExecutor(16) as pool:
        first = gated.close(pool)
        asked: list[Future[Reply]] = []
        for number in range(8):
            asked.append(later(pool, server, number, client=f"c{number}"))
            until(lambda: len(server.engine.queue) == len(asked))
        full = server.paint(one_class(10), client="late")
        assert (full.status, full.json["error"]) == (503, "busy")
        assert int(full.headers["retry-after"]) > 0
        newer = later(pool, server, 11, client="c7", number=1)  # replaces its own, so there is room
        assert asked[7].result().status == 204
        gated.open()
        assert [each.result().status for each in (first, *asked[:7], newer)] == [200] * 9


def test_job_of_a_client_that_left_is_dropped(gated: Gated) -> None:
    server = gated.server
    with ThreadPoolExecutor(2) as pool:
        first = gated.close(pool)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"POST /api/paint?width=128&height=96 HTTP/1.1\r\nHost: {server.host}\r\n"
            head += f"Content-Type: application/octet-stream\r\nContent-Length: {PIXELS}\r\n\r\n"
            connection.sendall(head.encode() + one_class(1))
            until(lambda: len(server.engine.queue) == 1)
        until(lambda: len(server.engine.queue) == 0)
        gated.open()
        assert first.result().status == 200


def test_two_clients_never_see_each_others_images(tmp_path: Path) -> None:
    """200 interleaved requests: each gets the image of its own drawing, or none."""
    with running(tmp_path, "--seconds", "0.002") as server:
        wrong: list[object] = []
        counts = {200: 0, 204: 0}

        def draw(client: str, base: int) -> None:
            rng = np.random.default_rng(base)
            for number in range(100):
                value, seed = base + int(rng.integers(0, 10)), number % 3
                reply = server.paint(one_class(value), seed=seed, client=client, number=number, format="png")
                counts[reply.status] += 1
                if reply.headers["x-number"] != str(number):
                    wrong.append((client, number, reply.headers))
                shade = PALETTE[value] / 127.5 - 1
                wanted = np.rint((shade * (1 - seed / 20) + 1) * 127.5)
                if reply.status == 200 and np.abs(decoded(reply)[5, 5] - wanted).max() > 1:
                    wrong.append((client, number, value))

        threads = [threading.Thread(target=draw, args=pair) for pair in (("one", 0), ("two", 10))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert sum(counts.values()) == 200
        assert counts[200] > 150


def test_twenty_clients_at_once(tmp_path: Path) -> None:
    """Two seconds of drawing: the queue stays within its limit, and each that is answered gets its own drawing."""
    with running(tmp_path, "--seconds", "0.02") as server:
        end, counts, longest = time.monotonic() + 2, dict.fromkeys((200, 204, 503), 0), [0]

        def draw(client: int) -> None:
            number = 0
            while time.monotonic() < end:
                number += 1
                reply = server.paint(one_class(client), seed=number, client=f"c{client}", number=number, format="png")
                longest[0] = max(longest[0], len(server.engine.queue))
                counts[reply.status] += 1
                if reply.status == 200:
                    shade = 1 - (number % 10) / 20
                    wanted = np.rint(((PALETTE[client] / 127.5 - 1) * shade + 1) * 127.5)
                    assert np.abs(decoded(reply)[0, 0] - wanted).max() <= 1

        with ThreadPoolExecutor(20) as pool:
            for each in [pool.submit(draw, client) for client in range(20)]:
                each.result()
        assert counts[200] > 10
        assert counts[503] > 0
        assert 0 < longest[0] <= 8
        assert next(server.events())["state"] in ("ready", "painting")


# --- accidents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "said"), [(KILL, "SIGKILL"), (EXIT, "what a person would like to know"), (HANG, "no progress")]
)
def test_dead_worker_is_restarted_once_and_said(tmp_path: Path, seed: int, said: str) -> None:
    with running(tmp_path, limits=Limits(rate=1e6, burst=10**6, patience=1.0)) as server:
        before = server.engine.pid
        reply = server.paint(DRAWING, seed=seed)
        assert (reply.status, reply.json["error"]) == (502, "worker_failed")
        assert said in reply.json["found"]
        assert server.paint(DRAWING).status == 200  # waits until the worker is back
        assert server.engine.pid != before
        state = next(server.events())
        assert (state["state"], state["restarts"], state["error"]) == ("ready", 1, None)
        assert said in state["restarted_because"]
        assert server.paint(DRAWING, seed=KILL).status == 502
        server.wait("failed")
        failed = next(server.events())
        assert (failed["state"], failed["error"]["error"]) == ("failed", "worker_failed")
        assert "SIGKILL" in failed["error"]["found"]
        refused = server.paint(DRAWING, seed=77)
        assert (refused.status, refused.json["error"]) == (502, "worker_failed")
        again = server.ask("POST", "/api/weights?number=0", b"", IDS)
        assert again.status == 202
        server.wait("ready")
        assert server.paint(DRAWING, seed=78).status == 200


def test_worker_that_is_killed_while_it_waits_is_restarted(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.engine.pid
        os.kill(server.engine.pid, signal.SIGKILL)
        until(lambda: server.paint(DRAWING, seed=1).status == 200)


def test_waiting_jobs_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, "--gate", str(tmp_path / "gate")) as server, ThreadPoolExecutor(4) as pool:
        dead = Gated(server, tmp_path / "gate").close(pool)
        waiting = [later(pool, server, number, client=f"c{number}") for number in (1, 2)]
        until(lambda: len(server.engine.queue) == 2)
        assert server.engine.pid
        os.kill(server.engine.pid, signal.SIGKILL)
        assert dead.result().status == 502
        assert [each.result().status for each in waiting] == [200, 200]


def test_error_of_the_generator_kills_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        before = server.engine.pid
        reply = server.paint(DRAWING, seed=REFUSE)
        assert (reply.status, reply.json["error"]) == (502, "worker_failed")
        assert "not finite" in reply.json["found"]
        assert server.paint(DRAWING).status == 200
        assert server.engine.pid == before


def test_memory_of_the_worker_is_limited(tmp_path: Path) -> None:
    with running(tmp_path, "--room", str(256 << 20)) as server:
        reply = server.paint(DRAWING, seed=MEMORY)
        assert (reply.status, reply.json["error"]) == (413, "too_large")
        assert server.paint(DRAWING).status == 200


def test_worker_ends_with_the_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        pid = server.engine.pid
    assert pid
    until(lambda: gone(pid), 3)


def test_weights_that_cannot_be_loaded_are_a_failure_with_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"broken")
    offer = Offer([str(broken), str(tmp_path / "stand-in.safetensors")])
    with running(tmp_path, offer=offer, options=Options(weights=("broken", "stand-in"))) as server:
        assert server.engine.state.name == "failed"
        reply = server.get("/api/model")
        assert (reply.status, reply.json["error"]) == (502, "worker_failed")
        assert "not a whole safetensors file" in reply.json["found"]
        for number in ("2", "-1", "x", ""):
            wrong = server.ask("POST", f"/api/weights?number={number}", b"", IDS)
            assert (wrong.status, wrong.json["error"]) == (400, "bad_query")
        other = server.ask("POST", "/api/weights?number=1", b"", IDS)
        assert (other.status, other.json) == (202, {"loaded": 1})
        server.wait("ready")
        model = server.get("/api/model").json
        assert (model["name"], model["loaded"], [each["name"] for each in model["weights"]]) == (
            "stand-in", 1, ["broken", "stand-in"],
        )  # fmt: skip


def test_worker_that_cannot_be_started_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    with running(tmp_path, command=[str(tmp_path / "absent")]) as server:
        assert server.engine.state.name == "failed"
        assert "cannot be started" in server.get("/api/model").json["found"]


def test_styles_and_images_of_other_weights_are_forgotten(tmp_path: Path) -> None:
    with running(tmp_path, "--style") as server:
        out = io.BytesIO()
        Image.new("RGB", (9, 9), "red").save(out, "PNG")
        style = server.ask("POST", "/api/style", out.getvalue(), {"Content-Type": "image/png"}).json["style"]
        assert server.paint(DRAWING, style=style).status == 200
        assert server.paint(DRAWING, style=style).headers["x-cached"] == "1"
        server.ask("POST", "/api/weights?number=0", b"", IDS)
        server.wait("ready")
        until(lambda: server.get("/api/model").status == 200)
        assert server.paint(DRAWING, style=style).json["error"] == "no_style"


def test_states_from_start_to_ready(tmp_path: Path) -> None:
    with running(tmp_path, "--seconds", "0.4", ready=False) as server:
        early = server.get("/api/model")
        assert (early.status, early.json["error"], early.headers["retry-after"]) == (503, "not_ready", "1")
        seen: list[tuple[str, int, int]] = []
        for state in server.events():
            seen.append((state["state"], state["step"], state["steps"]))
            if state["state"] == "ready":
                break
        assert seen[0][0] in ("starting", "compiling")
        assert seen[-4:-1] == [("compiling", step, 4) for step in (2, 3, 4)]
        assert server.get("/api/model").json["live"] is True


def test_class_names_that_are_markup_stay_text(tmp_path: Path) -> None:
    with running(tmp_path, "--hostile") as server:
        reply = server.get("/api/model")
        assert reply.headers["content-type"] == "application/json"
        assert reply.json["classes"][0]["name"] == "<img src=x onerror=alert(1)>"


# --- messages -----------------------------------------------------------------------------------------


def test_messages_survive_the_pipe() -> None:
    job = frames.Job(do="generate", width=64, height=32, seed=2**63 - 1, styles=[[0.1, -1e-30]])
    stream = io.BytesIO(frames.packed(job, b"body") + frames.packed(job))
    found, body = frames.read(stream, frames.Job) or (None, b"")
    assert (found, body) == (job.model_copy(update={"bytes": 4}), b"body")
    assert frames.read(stream, frames.Job) == (job, b"")
    assert frames.read(stream, frames.Job) is None


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"\0\0\0\2[]", b"\0\0\0\5{"])
def test_what_is_no_message_is_noticed(data: bytes) -> None:
    with pytest.raises(frames.BrokenStream):
        frames.read(io.BytesIO(data), frames.Job)


def test_stand_in_is_the_worker_that_runs(tmp_path: Path) -> None:
    with running(tmp_path, limits=QUICK) as server:
        assert server.engine.pid
        assert psutil.Process(server.engine.pid).cmdline()[:2] == [sys.executable, str(STAND_IN)]


def test_loading_generates_what_compiles_before_what_is_timed() -> None:
    """Label maps for which SPADE computes on distinct patches at every size, at none, and at the size of a drawing."""
    seen: list[np.ndarray] = []

    class Recording(Colouring):
        def at_size(self, size: Size) -> Recording:
            return self

        def generate(self, label_maps: np.ndarray, names: str, seed: int, *, z: np.ndarray | None = None) -> np.ndarray:
            seen.append(label_maps)
            time.sleep(0.2 if len(seen) == 1 else 0)
            return np.zeros((1, 3, *label_maps.shape), np.float32)

        def macs_on_patches(self, label_map: np.ndarray) -> int:
            return int(len(np.unique(label_map)) * 1e9)

    answer, _ = Jobs(lambda _: Recording([0], False)).answer(Job(do="load", weights=__file__), b"", lambda *_: None)
    assert [find_patches(ids[None]).worth_it for ids in seen] == [True, False, True]
    assert answer.model is not None
    assert answer.model.warmup_seconds < 0.2
    assert answer.model.gmac.patches == len(np.unique(seen[2])) > 8
