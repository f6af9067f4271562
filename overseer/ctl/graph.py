"""``overseerctl graph``: the standing tasks, and what they wait for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from overseer.client import Client
from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.listing import name_of
from overseer.ctl.statuses import coloured, signed
from overseer.ctl.terminal import Style, plain, room, say, show, style_of
from overseer.protocol import Graph, GraphEdge

_HEADING = ("TASK", "ACTION", "STATUS", "AUTOSTART", "DEPENDS ON")


def missing_of(client: Client, task_id: str) -> str:
    """What a standing task waits for, and what has become of that."""
    found = client.graph()
    return _dependencies(found, [edge for edge in found.edges if edge.task_id == task_id and not edge.met])


def graph(client: Client, options: Namespace) -> int:
    found = client.graph()
    if not found.nodes and not options.json:
        say("no standing tasks; the server's config names them under tasks")
        return 0
    show(options, found, lambda: graph_table(found, style_of(options), room()))
    return 0


def graph_table(graph: Graph, style: Style, columns: int | None = None) -> list[str]:
    """A heading and a line for each task; a dependency that is not met is marked."""

    def paint(row: int, name: str, text: str) -> str:
        return coloured(text, graph.nodes[row].status, style) if name == "STATUS" else text

    rows = [_HEADING]
    for node in graph.nodes:
        edges = [edge for edge in graph.edges if edge.task_id == node.task_id]
        rows.append(
            (
                name_of(node.task_id),
                name_of(node.action),
                signed(node.status, style) if node.status else "-",
                "-" if node.autostart == "false" else plain(node.autostart),
                _dependencies(graph, edges),
            )
        )
    cuts = {"TASK": cut_middle, "ACTION": fit, "DEPENDS ON": fit}
    spare = ("AUTOSTART", "ACTION")
    return table(rows, columns, cuts=cuts, spare=spare, heading=style.heading, paint=paint)


def _dependencies(graph: Graph, edges: Sequence[GraphEdge]) -> str:
    """In brackets, what has become of one that is not met. These come first: a long line is cut."""
    statuses = {node.task_id: node.status or "not started" for node in graph.nodes}
    shown = [
        f"{name_of(edge.depends_on)} {plain(edge.condition)}"
        + ("" if edge.met else f" ({plain(statuses[edge.depends_on])})")
        for edge in sorted(edges, key=lambda edge: edge.met)
    ]
    return ", ".join(shown) or "-"
