"""R in processes of its own: Rscript that stays, one for each thread that asks at the same time.

An R that crashes or is killed ends one call with an error, and the next call starts another. A worker ends when
this process does, however it ends: R reads the end of its input.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from formula_neuro.errors import RFailed, RMissing

from .missing import NO_R
from .sources import sources
from .wire import decode, encode

START = """
files <- commandArgs(TRUE)
place <- new.env(parent = as.environment("package:stats"))
for (file in files[-(1:2)]) sys.source(file, envir = place)
place$serve(files[1], files[2])
"""
PATIENCE = 5.0  # seconds that an interrupted R has to return from compiled code
LAST_WORDS = 5  # lines


def ask(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The reply of R's answer(), from a worker that is free; waits for one where all cores have one at work.

    Raises RMissing where there is no R, RFailed where the worker ends, KeyboardInterrupt after Ctrl-C, which
    interrupts R.
    """
    pool = _pool()
    worker = pool.take()
    try:
        reply = worker.ask(function, arguments)
    finally:
        pool.give(worker)
    return reply


# ---- one worker ----------------------------------------------------------------------------------
@dataclass(eq=False)
class Worker:
    """An Rscript, the folder through which values cross, and the pipe on which it says that it is done."""

    process: subprocess.Popen[bytes]
    folder: Path
    replies: int  # the reading end
    printed: BinaryIO  # what R prints; shown only where it ends
    asked: int = 0

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        with open(self.folder / "request", "wb") as file:
            file.writelines(encode({"name": function, "arguments": dict(arguments)}))
        self.printed.truncate(0)
        self.asked += 1
        try:
            self._ring()
            done = self._wait()
        except BaseException:  # Ctrl-C above all: R shall not go on with what nobody waits for
            self._interrupt()
            raise
        if not done:
            raise RFailed(f"R ended while it ran {function}() ({self._ended()}); the next call starts a new one")
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        content = (self.folder / "reply").read_bytes()
        for name in ("request", "reply"):  # large, and perhaps confidential
            (self.folder / name).unlink()
        reply: dict[str, Any] = decode(content)
        return reply

    def _ring(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"%d\n" % self.asked)
        except BrokenPipeError:
            """R has ended: that is seen, and said, where its reply is awaited."""

    def _wait(self, seconds: float = math.inf) -> bool:
        """Whether R has finished the last request; False where it ended, or took longer."""
        wanted, heard = b"%d\n" % self.asked, b""
        stop = time.monotonic() + seconds
        while not heard.endswith(wanted):
            # a child process of R's may hold the pipe open when R is gone: look after it now and then
            if not select.select([self.replies], [], [], min(1.0, seconds))[0]:
                if not self.alive or time.monotonic() > stop:
                    return False
                continue
            more = os.read(self.replies, 4096)
            if not more:
                return False
            heard += more
        return True

    def _interrupt(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGINT)
            # one that had finished before would meet the signal later, in somebody else's call
            returned = self._wait(PATIENCE) and self._reply()["status"] == ("interrupt",)
        except BaseException:  # the second Ctrl-C, or R is gone
            returned = False
        if not returned:
            self.process.kill()

    def _ended(self) -> str:
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # it closed its pipe and lingers
            self.process.kill()
            status = self.process.wait()
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        text = (self.folder / "printed").read_text(errors="replace").strip().splitlines()[-LAST_WORDS:]
        return how + ("; its last words: " + " / ".join(text) if text else "")

    def close(self) -> None:
        """End R, at once where it is idle; its folder goes with it."""
        self.abandon()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self) -> None:
        """Let go of this process's ends of the pipes."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.printed.close()
        os.close(self.replies)


def start() -> Worker:
    """An Rscript that waits for requests; raises RMissing where there is none."""
    program = rscript()
    folder = Path(tempfile.mkdtemp(prefix="formula_neuro_r."))
    replies, theirs = os.pipe()
    printed = open(folder / "printed", "ab")  # noqa: SIM115  # as long as the worker
    try:
        process = subprocess.Popen(
            [program, "--vanilla", "-e", START, str(folder), f"/dev/fd/{theirs}", *sources()],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            pass_fds=(theirs,),
            start_new_session=True,  # Ctrl-C at the terminal is ours to pass on
            env={**os.environ, "R_LIBS": libraries(program)},
        )
    except BaseException:
        os.close(replies)
        printed.close()
        shutil.rmtree(folder)
        raise
    finally:
        os.close(theirs)
    return Worker(process, folder, replies, printed)


def rscript() -> str:
    """The Rscript of R_HOME, or that on the PATH; raises RMissing where there is none."""
    home = os.environ.get("R_HOME")
    found = shutil.which("Rscript", path=f"{home}/bin" if home else None)
    if found is None:
        raise RMissing(f"the R bridge {NO_R}")
    return found


@functools.cache
def libraries(program: str) -> str:
    """Where a plain R looks for packages: --vanilla would not read the user's own settings."""
    mark = "--- libraries ---"
    code = f"cat('\\n{mark}', paste(.libPaths(), collapse = .Platform$path.sep), '', sep = '\\n')"
    done = subprocess.run([program, "-e", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or mark not in done.stdout:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-LAST_WORDS:]
        raise RMissing(f"{program} does not start R: {' '.join(said) or f'status {done.returncode}'}")
    return done.stdout.partition(mark)[2].strip().splitlines()[0]


# ---- all workers of this process -----------------------------------------------------------------
@dataclass(eq=False)
class Pool:
    """The workers of one process: as many as threads ask at once, and at most one a core."""

    limit: int
    idle: list[Worker] = field(default_factory=list)
    busy: list[Worker] = field(default_factory=list)
    starting: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self) -> Worker:
        """The worker that was used last, a new one, or the next that becomes free."""
        with self.changed:
            while True:
                self._bury()
                if self.idle:
                    self.busy.append(self.idle.pop())
                    return self.busy[-1]
                if len(self.busy) + self.starting < self.limit:
                    self.starting += 1
                    break
                self.changed.wait()
        worker = None
        try:
            worker = start()  # without the lock: others may begin to work meanwhile
        finally:
            with self.changed:
                self.starting -= 1
                if worker is not None:
                    self.busy.append(worker)
                self.changed.notify()
        return worker

    def give(self, worker: Worker) -> None:
        with self.changed:
            if worker not in self.busy:  # of the parent, in a child that was forked in the middle
                return
            self.busy.remove(worker)
            if worker.alive:
                self.idle.append(worker)
            else:
                worker.close()
            self.changed.notify()

    def _bury(self) -> None:
        for worker in [w for w in self.idle if not w.alive]:
            self.idle.remove(worker)
            worker.close()

    def close(self) -> None:
        """End all workers; those at work too, for nobody will read their answer."""
        with self.changed:
            for worker in self.busy:
                worker.process.kill()
            for worker in self.idle + self.busy:
                worker.close()
            self.idle.clear()
            self.busy.clear()

    def forget(self) -> None:
        """In a forked child: the workers are the parent's, and end when the parent lets go of them."""
        for worker in self.idle + self.busy:
            worker.abandon()
            worker.process.returncode = 0  # else Python warns that it still runs
        self.idle.clear()
        self.busy.clear()
        self.starting, self.changed = 0, threading.Condition()


@functools.cache
def _pool() -> Pool:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = Pool(limit=max(2, cores))
    os.register_at_fork(after_in_child=pool.forget)
    atexit.register(pool.close)
    return pool
