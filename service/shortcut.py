"""The shortest way for the most frequent request: a user's list without options, or with `k` alone.

The same function answers as behind the route; what is saved is the framework's routing and validation.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from service import paths
from service.answers import Answers
from service.schemas import ListOptions

TEMPLATE = "/v1/users/{user_id}/recommendations"
_BEFORE, _AFTER = TEMPLATE.split("{user_id}")


class Shortcut:
    """Answers a plain request for a user's list; leaves every other to the routes."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._plain: dict[bytes, ListOptions] = {b"": ListOptions()}
        self._plain |= {b"k=%d" % k: ListOptions(k=k) for k in range(1, 101)}

    def __call__(self, scope: MutableMapping[str, Any]) -> tuple[str, bytes] | None:
        path: str = scope["path"]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)):
            return None
        options = self._plain.get(scope["query_string"])
        if options is None or len(path) <= len(_BEFORE) + len(_AFTER):
            return None
        user_id = paths.read_id(path[len(_BEFORE) : -len(_AFTER)])
        return TEMPLATE, self._answers.for_user(user_id, options)()
