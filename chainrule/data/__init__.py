"""Files become documents, documents token shards, shards batches."""

from chainrule.data.batches import Batches, Windows
from chainrule.data.jobs import Split
from chainrule.data.king_james import king_james_is_here
from chainrule.data.manifest import Manifest, ShardEntry
from chainrule.data.preparation import write_shards
from chainrule.data.reading import DocumentPart, all_documents
from chainrule.data.scan import Progress
from chainrule.data.store import Dataset, TokenStore, open_dataset
from chainrule.data.survey import Survey, survey

__all__ = [
    "Batches",
    "Dataset",
    "DocumentPart",
    "Manifest",
    "Progress",
    "ShardEntry",
    "Split",
    "Survey",
    "TokenStore",
    "Windows",
    "all_documents",
    "king_james_is_here",
    "open_dataset",
    "survey",
    "write_shards",
]
