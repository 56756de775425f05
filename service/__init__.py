"""The HTTP service: reads published versions, answers under /v1, writes events. No torch, no pandas."""
