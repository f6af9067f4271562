"""What a parameter is, in words."""

from __future__ import annotations

from overseer.protocol import ParamSpec


def described_param(spec: ParamSpec) -> str:
    """Its description and what its values must be, as sentences; ``""`` when nothing is known of it."""
    said = [spec.description.rstrip(".")] if spec.description else []
    if spec.type != "text" and not spec.values:
        said.append(f"Must be {spec.expected}")
    if spec.pattern:
        said.append(f"Must match {spec.pattern}")
    if spec.validate:
        said.append(f"Must meet the CEL condition {spec.validate}")
    return ". ".join(said)
