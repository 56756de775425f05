"""The event store: what happened since training. Free of torch, like everything that serves."""
