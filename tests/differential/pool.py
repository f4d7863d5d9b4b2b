"""Workers that run programs, one process a framework. A worker that dies or hangs costs one program."""

from __future__ import annotations

import os
import pickle
import select
import struct
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final, cast

from tests.differential.outcome import Job, Outcome

ROOT: Final = Path(__file__).parents[2]
THREADS: Final = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_v": "4", "MS_DEV_LAUNCH_BLOCKING": "1",
    "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0",
}  # fmt: skip
PATIENCE: Final = 60
"""Seconds for one program."""
LIFE: Final = 1500
"""Programs after which a worker is replaced: frameworks keep some of what each program makes."""


class Worker:
    """A process that runs programs of a framework, started when first used."""

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.process: subprocess.Popen[bytes] | None = None
        self.served = 0

    def run(self, job: Job) -> Outcome:
        process = self.process or self._start()
        try:
            body = pickle.dumps(job)
            assert process.stdin
            process.stdin.write(struct.pack("q", len(body)) + body)
            process.stdin.flush()
            outcome = cast(Outcome, self._answer(process, PATIENCE))
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            return Outcome([], {}, {}, f"the worker died: {type(error).__name__}")
        self.served += 1
        if self.served >= LIFE:
            self.close()
        return outcome

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.differential.worker", self.framework]
        environment = os.environ | THREADS | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=gettempdir(), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.served = 0
        self._answer(self.process, 300)
        return self.process

    def _answer(self, process: subprocess.Popen[bytes], patience: float) -> Any:
        head = self._read(process, 8, patience)
        return pickle.loads(self._read(process, struct.unpack("q", head)[0], patience))

    def _read(self, process: subprocess.Popen[bytes], count: int, patience: float) -> bytes:
        assert process.stdout
        found = b""
        while len(found) < count:
            if not select.select([process.stdout], [], [], patience)[0]:
                raise TimeoutError
            more = os.read(process.stdout.fileno(), count - len(found))
            if not more:
                raise EOFError
            found += more
        return found

    def close(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


class Pool:
    """One worker for each framework."""

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}

    def run(self, framework: str, job: Job) -> Outcome:
        worker = self.workers.setdefault(framework, Worker(framework))
        return worker.run(job)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
