"""The renderer: its views and options. Plotly itself is imported when something is drawn."""

from __future__ import annotations

from attncore import AttentionTrace, OptionError, Rendered
from attncore.subject import Subject

STATISTICS = ("entropy", "distance", "self_mass", "previous_mass", "next_mass", "first_mass")


class PlotlyRenderer:
    """Draws ``"matrix"``, one head as a heat map, and ``"heads"``, a bar for each head of a layer."""

    name = "plotly"
    views = ("matrix", "heads")

    def render(
        self,
        trace: AttentionTrace,
        *,
        view: str = "matrix",
        layer: int | str = 0,
        head: int | None = None,
        batch: int = 0,
        statistic: str = "entropy",
    ) -> Rendered:
        """Draw one view.

        Args:
            trace: what to show.
            view: one of ``views``.
            layer: index or name of a layer.
            head: the number of a head, or None for the mean over heads; for the matrix.
            batch: which batch item.
            statistic: what the bars show, one of `STATISTICS`, as `attncore.patterns` explains them.

        Raises:
            SelectionError: a layer, head or batch item that does not exist.
            OptionError: an option has a value that is not understood.
        """
        if view not in self.views:
            raise OptionError(f'there is no view "{view}"; use {", ".join(self.views)}')
        if statistic not in STATISTICS:
            raise OptionError(f'there is no statistic "{statistic}"; use {", ".join(STATISTICS)}')
        from attncore_plotly import figures

        subject = Subject.of(trace, layer, head if view == "matrix" else None, batch)
        if view == "matrix":
            return figures.matrix(subject)
        return figures.heads(trace, subject, statistic)
