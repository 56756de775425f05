"""The shortest way for the two most frequent questions: a user's list as it is, and a session's list.

The same functions answer as behind the routes; what is saved is the framework's routing and validation.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from service import bodies, paths
from service.answers import Answers
from service.asked import ListOptions, SessionRequest

USER = "/v1/users/{user_id}/recommendations"
SESSION = "/v1/recommendations"
_BEFORE, _AFTER = USER.split("{user_id}")
_SHORTEST = len(_BEFORE) + len(_AFTER)
_USUAL_LENGTHS = range(1, 101)


class Shortcut:
    """Answers plain requests for a user's list (at most `k` is given) and sessions; leaves the rest to the routes."""

    def __init__(self, answers: Answers, longest: int) -> None:
        self._answers = answers
        self._longest = longest  # list in a body
        self._plain = {b"": ListOptions()} | {b"k=%d" % k: ListOptions(k=k) for k in _USUAL_LENGTHS}

    async def __call__(self, scope: MutableMapping[str, Any], body: bytes) -> tuple[str, bytes] | None:
        path: str = scope["path"]
        if scope["method"] == "GET" and path.endswith(_AFTER) and path.startswith(_BEFORE):
            options = self._plain.get(scope["query_string"])
            if options is None or len(path) <= _SHORTEST:
                return None
            user_id = paths.read_id(path[len(_BEFORE) : -len(_AFTER)])
            return USER, await self._answers.for_user(user_id, options)
        if scope["method"] == "POST" and path == SESSION:
            request = bodies.parse(body, SessionRequest, self._longest)
            return SESSION, await self._answers.for_session(request)
        return None
