"""The ``config`` of actions that run on a Dask cluster: exec's, and which cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from overseer.config.exec import EXEC, ExecConfig, checked_exec
from overseer.config.key_hints import hints_at
from overseer.schema.fields import declared, field
from overseer.schema.location import Location
from overseer.schema.nodes import Node, Scalar, unexpected
from overseer.schema.objects import MapOf, Object, or_null
from overseer.schema.quantities import Seconds
from overseer.schema.types import FieldType, Text, TextList

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_LEAST_LEASE = 2.0  # a worker that is only busy must not lose its tasks


class Address(FieldType):
    """Where a scheduler listens."""

    label = "address"

    def from_yaml(self, node: Node, location: Location) -> str:
        text = self.scalar(node, "address").text
        if not _ADDRESS.fullmatch(text):
            raise unexpected(node, "tcp://HOST:PORT or tls://HOST:PORT")
        return text


class Amount(FieldType):
    """How much of something is needed: a number."""

    label = "number"

    def from_yaml(self, node: Node, location: Location) -> float:
        text = node.text if isinstance(node, Scalar) else ""
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][0-9]+)?", text) or not float(text) > 0:
            raise unexpected(node, "a number above 0")
        return float(text)

    def yaml_schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": 0}


class Lease(Seconds):
    """A duration of two seconds or more."""

    def from_yaml(self, node: Node, location: Location) -> float:
        seconds = float(super().from_yaml(node, location))
        if seconds < _LEAST_LEASE:
            raise ValueError(f"must be at least {_LEAST_LEASE:g}s")
        return seconds


@declared()
class ClusterTls:
    """``cluster.tls``: how the cluster's certificates are checked, and ours."""

    ca: str = field(
        Text("path"),
        "Certificates of the authorities that the cluster's are issued by, PEM.",
        missing="without it anybody could pass for the cluster",
    )
    cert: str = field(
        Text("path"), "The certificate to connect with, PEM.", missing="a cluster with TLS asks for one"
    )
    key: str = field(Text("path"), "Its private key, PEM.", default="", default_text="in the file of `cert`")


@declared()
class ClusterSection:
    """``cluster``: where tasks run. ``resources`` and ``workers`` are the engine's to obey."""

    address: str = field(
        Address(),
        "Where its scheduler listens: `tcp://HOST:PORT` or, with `tls`, `tls://HOST:PORT`.",
        missing="say where the scheduler listens, such as tcp://10.0.0.5:8786",
    )
    tls: ClusterTls | None = field(
        Object(ClusterTls, strict=True), "Certificates, for a cluster that uses TLS.", default=None
    )
    resources: Mapping[str, float] = field(
        MapOf(Amount(), what="a mapping of resources to numbers"),
        "What a run needs of a worker's declared resources, such as `{GPU: 1}`. It waits for a worker that "
        "has that much left.",
        default=dict,
    )
    workers: tuple[str, ...] = field(
        TextList("list of patterns", commas=False),
        "Only workers whose name, address or host matches one of these patterns (`gpu-*`).",
        default=(),
        default_text="any",
    )
    lease: float = field(
        Lease(zero=False),
        "How long a worker's tasks outlive the last word from the overseer.",
        default=15.0,
    )


def _cluster(read: ClusterSection, location: Location) -> ClusterSection:
    if read.address and (read.tls is not None) != read.address.startswith("tls://"):
        location.at("address").error(
            "a cluster with tls is at tls://HOST:PORT" if read.tls else "tls:// needs the key tls"
        )
    return read


CLUSTER = Object(ClusterSection, _cluster, strict=True)


@declared()
class DaskConfig(ExecConfig):
    """The ``config`` of a ``dask`` action: what is said of a machine is said of the worker's."""

    cluster: ClusterSection | None = field(CLUSTER, "The cluster that its tasks run on.", default=None)


def _dask(read: DaskConfig, location: Location) -> DaskConfig:
    if read.cluster is None and not location.has_error("cluster"):
        location.error("cluster is missing: say which cluster to run on, cluster: {address: …}")
    checked_exec(read, location)
    return read


DASK = Object(DaskConfig, _dask, hint=hints_at("config", DaskConfig))


def config_by_type() -> list[dict[str, Any]]:
    """Schemas of an action, which say what ``config`` has for each of our drivers."""
    return [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": {"properties": {"config": or_null(of.yaml_schema())}},
        }
        for name, of in (("exec", EXEC), ("dask", DASK))
    ]
