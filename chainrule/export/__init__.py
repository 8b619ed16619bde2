"""Trained models in the formats of other tools, each with a proof that it computes the same."""

from chainrule.export.hugging_face import export_hugging_face
from chainrule.export.proof import ExportProof

__all__ = ["ExportProof", "export_hugging_face"]
