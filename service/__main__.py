"""`python -m service --models DIR`: the service alone."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # First of all: the first process of a container ignores what it has no handler for, also while it starts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from service.command import main

    main()
