"""`python -m service --models DIR`: the service alone."""

from __future__ import annotations

from service.command import main

if __name__ == "__main__":
    main()
