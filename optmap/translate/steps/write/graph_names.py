"""What the optimizer of a TensorFlow 1 graph trains once the graph is rewritten."""

from __future__ import annotations

from optmap.mapping.steps import load_graph
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.steps.read.graph import read_graph
from optmap.translate.steps.read.plan import NotPlain
from optmap.translate.steps.write.graph import GraphWriter


def graph_parameters(source: Source, site: CallSite) -> str | None:
    """The parameters that a graph's optimizer trains, as they are named once the graph is rewritten; None where it cannot be."""
    try:
        plan = read_graph(source, site)
        # What can be read may still be given what cannot be written; the constructor must not be translated alone then.
        table = load_graph()
        GraphWriter(source, plan, table, "mindspore", "grad_fn", "grads", "loss").write()
    except NotPlain:
        return None
    return plan.parameters
