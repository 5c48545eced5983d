"""The screen of a workflow: one line per finished job, one live bar, warnings and errors in full.

The logger plugin `snakemake_logger_plugin_shanshui` passes Snakemake's messages to a `Screen`. What is not shown is in
Snakemake's log file, which the output of the jobs is appended to. On a terminal the bar is rewritten every second;
elsewhere a line says from time to time what is running.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from shanshui.pipeline.job_results import UNREADABLE, findings, job_result, subject
from shanshui.pipeline.remaining_time import RemainingTime, job_sizes
from shanshui.pipeline.running_jobs import Job, clock, failure, progress_words, warnings_in
from shanshui.storage.names import number

if TYPE_CHECKING:
    from tqdm import tqdm

    from shanshui.config.schema import Config

BAR = "{n_fmt} of {total_fmt} jobs |{bar:16}| {elapsed} {desc}"
SHORT = {"finetune_last": "finetune", "score_seed": "score", "score_fused": "score", "select_checkpoints": "select",
         "select_model": "select", "select_seed": "select"}  # fmt: skip
FOLDED = ("merge", "generate", "infer")  # shown by the score of their images
SILENT = ("all", "settings")
BEFORE = ("Assuming unrestricted shared filesystem usage.", "host: ")  # said before a workflow starts, of no use here
ENDING = "Will exit after finishing"  # on SIGTERM
SHOWN = ("Nothing to be done", "Trying to restart job", ENDING)
KNOWN = (  # of a failed job, which has a form of its own here
    "Exiting because a job execution failed", "At least one job did not complete", "returned non-zero exit status",
    "died with <Signals",
)  # fmt: skip
ERASE = "\r\x1b[K"  # the line of the cursor, with the ^C that a terminal shows
ECHO_SECONDS = 0.05  # a terminal shows ^C just after it has sent the signal
INTERRUPTING = "Terminating processes on user request"
PAGE_PAUSE = 10.0  # seconds between two pages, at least
NO_PAGE_PAUSE = 2.0  # until the next attempt, where the run has no settings yet
GRACE = 2.0  # seconds after which a failed job was not ended by Ctrl-C


@dataclass(frozen=True)
class Surroundings:
    """What the screen knows of the call.

    Attributes:
        run: folder of the run.
        config: its configuration.
        log: file with everything that is not shown; "" if there is none.
        command: of the shell, that continues the run.
        touched: whether Snakemake only sets file times.
        refresh: called after each finished job, and from time to time; writes the page with the results so far and
            returns its path.
        parallel: jobs that use the networks at a time.
    """

    run: Path
    config: Config
    log: str
    command: str
    touched: Callable[[], bool] = lambda: False
    refresh: Callable[[], Path | None] = lambda: None
    parallel: int = 1


class Screen:
    """Shows a workflow on `stream`; `live` with a bar. Call `handle` with every message, `close` at the end."""

    def __init__(self, around: Surroundings, stream: TextIO, live: bool, pause: float = 1.0) -> None:
        self.around, self.stream, self.live, self.pause = around, stream, live, pause
        self.lock = threading.RLock()
        self.started = 0.0  # seconds since the epoch, 0 before the workflow has started
        self.interrupted = self.asked_to_end = False
        self.bar: tqdm | None = None
        self.jobs: dict[int, Job] = {}  # that are running
        self.folded: dict[tuple[str, str], list[Job]] = {}
        self.failed: list[tuple[Job, str]] = []
        self.pending: list[tuple[float, Job, str]] = []  # failed just now, perhaps by Ctrl-C
        self.counts = Counter[str]()
        self.estimate = RemainingTime(job_sizes(around.config), around.parallel)
        self.total = self.done = 0
        self.spoke = self.next_page = 0.0
        self.page: Path | None = None
        self.sampled = False
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    # --- messages -----------------------------------------------------------------------------------------

    def handle(self, record: logging.LogRecord) -> bool:
        """Show a message; return False where it is to appear in Snakemake's own form."""
        event, text = str(getattr(record, "event", None) or ""), str(record.msg or "")
        with self.lock:
            if event == "workflow_started":
                self.started = self.spoke = record.created
                self._say(f"everything else: {self.around.log}" if self.around.log else "")
            elif not self.started:
                return text.startswith(BEFORE)
            elif getattr(record, "shanshui_last", False):
                self._end_bar()
                self._say(text)
            elif record.levelno >= logging.WARNING and event != "job_error":
                self._say("" if any(part in text for part in KNOWN) else text)
            elif text.startswith(INTERRUPTING):
                self._interrupt()
            elif text.startswith(SHOWN):
                self.asked_to_end |= text.startswith(ENDING)
                self._say(text)
            elif not self.around.touched():
                self._on_event(event, record)
        return True

    def _on_event(self, event: str, record: logging.LogRecord) -> None:
        """Take note of the beginning and the end of jobs."""
        get = record.__dict__.get
        if event == "run_info":
            self.estimate.plan(get("stats", {}))
            self.total = int(get("stats", {}).get("total", 0))
            self._say(f"{number(self.total, 'job')} planned" + (", more after each choice of models"
                      if self.estimate.planned["select_checkpoints"] else ""))  # fmt: skip
        elif event == "job_info":
            wildcards = {name: str(value) for name, value in dict(get("wildcards") or {}).items()}
            self.jobs[record.jobid] = Job(  # type: ignore[attr-defined]
                str(get("rule_name")), wildcards, tuple(map(str, get("log") or ())), record.created,
                str(get("shellcmd") or ""),
            )  # fmt: skip
            if not self.thread.is_alive() and not self.stopping.is_set():
                self.thread.start()
        elif event == "job_finished" and (job := self.jobs.pop(get("job_id", -1), None)):
            self._finish(job, record.created - job.start)
        elif event == "progress":
            self.done, self.total = int(get("done", 0)), int(get("total", 0))
        elif event == "job_error":
            job = self.jobs.pop(get("jobid", -1), None) or Job(str(get("rule_name")), {}, (), record.created, "")
            logs = tuple(map(str, get("log") or ())) or job.logs
            self.pending.append((time.time(), job, failure(job, logs, str(get("shellcmd") or job.command))))

    def _finish(self, job: Job, seconds: float) -> None:
        """Show a finished job, or keep it for the line of the score of its images."""
        self.estimate.finish(job.rule, job.wildcards, seconds)
        job.seconds = seconds
        self.counts[job.rule] += 1
        if job.rule in SILENT:
            return
        if self.counts["settings"]:
            self._say(self._line(0.0, "settings", number(self.counts.pop("settings"), "file")))
        key = (job.wildcards.get("model") or job.wildcards.get("subset", ""), job.wildcards.get("seed", ""))
        if job.rule in FOLDED:
            self.folded.setdefault(key, []).append(job)
        else:
            before = self.folded.pop(key, []) if job.rule.startswith("score") else []
            self._say(self._line(seconds + sum(one.seconds for one in before), job.rule, self._result(job)))
        for words in warnings_in(job.logs) if job.rule != "validate" else findings(self.around.run):
            self._say(f"warning ({SHORT.get(job.rule, job.rule)}): {words}")

    def _result(self, job: Job) -> str:
        about = subject(job.rule, job.wildcards)
        result = job_result(self.around.run, job.rule, job.wildcards, self.around.config)
        return ": ".join(part for part in (about, result) if part)

    @staticmethod
    def _line(seconds: float, rule: str, words: str) -> str:
        return f"{clock(seconds):>8}  {SHORT.get(rule, rule):<12}  {words}".rstrip()

    # --- the bar, and what happens between messages -----------------------------------------------------------

    def _watch(self) -> None:
        """Look after the bar until the end, in a thread of its own."""
        while not self.stopping.wait(self.pause):
            with self.lock:
                if not self.stopping.is_set():
                    with contextlib.suppress(*UNREADABLE):  # a look at files that are being written
                        self.tick(time.time())

    def tick(self, now: float) -> None:
        """Show what is new at the time `now`: failures, the first samples, the state of the running jobs."""
        due = [entry for entry in self.pending if now - entry[0] > GRACE]
        self.pending = [entry for entry in self.pending if entry not in due]
        self._fail([] if self.interrupted else due)
        if not self.sampled and (sample := self._first_sample()):
            self.sampled = True
            self._say(f"first samples: {sample} (label maps, generated images, photographs)")
        self._refresh(now)
        words = self._running(now)
        total = max(self.total, self.estimate.jobs)
        if self.live:
            self._show_bar(total, words)
        elif now - self.spoke > max(60.0, min(1800.0, (now - self.started) / 10)):
            self._say(f"{clock(now - self.started):>8}  {self.done} of {total} jobs done; {words}")

    def _refresh(self, now: float) -> None:
        """Write the page with the results so far if it is due; it takes a hundredth of the time at most."""
        if now < self.next_page:
            return
        begun = time.monotonic()
        page = None
        with contextlib.suppress(*UNREADABLE):
            page = self.around.refresh()
        taken = time.monotonic() - begun
        self.next_page = now + (max(PAGE_PAUSE, 100 * taken) if page else NO_PAGE_PAUSE)
        if page and not self.page and not self.stopping.is_set():
            self.page = page
            self._say(f"results so far: {page} (refreshes itself in a browser)")

    def _first_sample(self) -> Path | None:
        """Return the first grid of sample images that this workflow has written."""
        files = ((file.stat().st_mtime, file) for file in self.around.run.glob("samples/*/epoch_*.png"))
        return min(((when, file) for when, file in files if when > self.started - 1), default=(0.0, None))[1]

    def _running(self, now: float) -> str:
        """Describe the running jobs with their progress, and what is left."""
        words, running = [], {}
        for job in self.jobs.values():
            if job.rule in SILENT:
                continue
            said, left = progress_words(job, self.around.run, self.around.config, now)
            name = job.wildcards.get("resolution") or job.wildcards.get("epoch") or subject(job.rule, job.wildcards)
            running[job.rule, name] = (now - job.start, left)
            words.append(" ".join(part for part in (SHORT.get(job.rule, job.rule), said) if part))
        seconds = self.estimate.seconds(running)
        left_words = f"; about {clock(seconds)} left" if seconds is not None and running else ""
        return (", ".join(words) or "planning") + left_words

    def _show_bar(self, total: int, words: str) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                total=total, file=self.stream, leave=False, dynamic_ncols=True, bar_format=BAR, mininterval=0
            )
            self.bar.start_t -= max(0.0, time.time() - self.started)
        self.bar.total, self.bar.n = total, min(self.done, total)
        self.bar.set_description_str(words, refresh=False)
        self.bar.refresh()

    def _end_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
            self.stream.write(ERASE)
            self.stream.flush()

    def _say(self, text: str) -> None:
        """Print lines above the bar."""
        if not text:
            return
        self.spoke = time.time()
        if self.bar is not None:
            self.bar.clear()
        self.stream.write(text + "\n")
        self.stream.flush()
        if self.bar is not None:
            self.bar.refresh()

    # --- the end ------------------------------------------------------------------------------------------------

    def _fail(self, due: Sequence[tuple[float, Job, str]]) -> None:
        for _, job, words in due:
            self.failed.append((job, words))
            self._say(words)

    def _interrupt(self) -> None:
        if not self.interrupted:
            self.interrupted = True
            self._end_bar()
            if self.live:
                time.sleep(ECHO_SECONDS)
            running = [SHORT.get(job.rule, job.rule) for job in self.jobs.values() if job.rule not in SILENT]
            words = f"Interrupted. Waiting for {', '.join(running)} to stop." if running else "Interrupted."
            self._say((ERASE if self.live else "") + words)  # one write: nothing comes between

    def close(self, interrupted: bool) -> None:
        """Remove the bar, show what is left to be shown, and how to continue a workflow that did not end well."""
        self.stopping.set()
        with self.lock:
            if interrupted:
                self._interrupt()
            self._end_bar()
            self._fail([] if self.interrupted else self.pending)
            rest = Counter(job.rule for jobs in self.folded.values() for job in jobs)
            for rule, count in rest.items():
                seconds = sum(job.seconds for jobs in self.folded.values() for job in jobs if job.rule == rule)
                self._say(self._line(seconds, rule, number(count, "job")))
            command = f"the same command continues:\n    {self.around.command}"
            if self.interrupted:
                self._say(f"Finished jobs stay, training resumes from the last state it saved; {command}")
            elif self.asked_to_end and not self.failed:
                self._say(f"Ended on request. Finished jobs stay; {command}")
            elif self.failed:
                names = ", ".join(dict.fromkeys(SHORT.get(job.rule, job.rule) for job, _ in self.failed))
                self._say(f"{number(len(self.failed), 'job')} failed ({names}). With the cause removed, {command}")
            if self.started:
                self._refresh(self.next_page)
