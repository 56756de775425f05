"""How training shows itself: one bar with what matters, or nothing where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from cml.training.history import Epoch


@contextmanager
def progress(epochs: int, *, shown: bool = True, again: str = "refit") -> Iterator[Callable[[Epoch], None]]:
    """A listener that draws a bar over `epochs` on standard error: loss, impostor share, metrics, time left.

    again: what another run of epochs is called.
    """
    with tqdm(total=epochs, unit="epoch", disable=None if shown else True, dynamic_ncols=True) as bar:

        def listen(epoch: Epoch) -> None:
            if epoch.number <= bar.n:
                bar.reset()
                bar.set_description(again)
            bar.update(epoch.number - bar.n)
            figures = {"loss": f"{epoch.loss:.4f}", "impostors": f"{epoch.impostor_share:.2%}"}
            shown_metrics = [name for name in ("ndcg@10", "recall@50") if name in epoch.metrics]
            bar.set_postfix(figures | {name: f"{epoch.metrics[name]:.4f}" for name in shown_metrics})

        yield listen
