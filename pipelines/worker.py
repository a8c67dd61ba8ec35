"""What a worker process does first. Imports no Beam, which would log before it may."""

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

from pairsmith.pipelines.telling import Logging


def begin(driver: int, lock: str, log: Logging) -> None:
    """Prepare a worker process: it must not outlive its driver."""
    log.begin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it, too, and ends us
    held = Path(lock).open("a")  # noqa: SIM115 - held until this process ends
    fcntl.flock(held, fcntl.LOCK_SH)

    def watch() -> None:
        with held:
            while os.getppid() == driver:
                time.sleep(0.2)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
