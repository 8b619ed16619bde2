"""Trained models in the formats of other tools, each with a proof that it computes the same."""

from chainrule.export.proof import ExportProof
from chainrule.export.target import export

__all__ = ["ExportProof", "export"]
