"""Files become documents, documents token shards, shards batches."""

from chainrule.data.amount import refuse_little
from chainrule.data.batches import Batches, Windows
from chainrule.data.cache import Cache, CacheEntry, find_cache, kept_file, open_cache
from chainrule.data.executors import Executor, executor_of
from chainrule.data.files import Listing, absolute_texts, list_files
from chainrule.data.given import EXAMPLES, write_documents
from chainrule.data.jobs import Split
from chainrule.data.king_james import king_james_is_here
from chainrule.data.links import link_shards
from chainrule.data.look import look_at_text
from chainrule.data.manifest import Manifest, ShardEntry, is_prepared, load_manifest
from chainrule.data.parallel import portions
from chainrule.data.preparation import shards_key, write_shards
from chainrule.data.reading import DocumentPart, all_documents
from chainrule.data.rows import Row
from chainrule.data.scan import Progress
from chainrule.data.store import Dataset, TokenStore, open_dataset, run_dataset
from chainrule.data.structured import holds_rows, structured_rows
from chainrule.data.surveying import Survey, survey, survey_key

__all__ = [
    "EXAMPLES",
    "Batches",
    "Cache",
    "CacheEntry",
    "Dataset",
    "DocumentPart",
    "Executor",
    "Listing",
    "Manifest",
    "Progress",
    "Row",
    "ShardEntry",
    "Split",
    "Survey",
    "TokenStore",
    "Windows",
    "absolute_texts",
    "all_documents",
    "executor_of",
    "find_cache",
    "holds_rows",
    "is_prepared",
    "kept_file",
    "king_james_is_here",
    "link_shards",
    "list_files",
    "load_manifest",
    "look_at_text",
    "open_cache",
    "open_dataset",
    "portions",
    "refuse_little",
    "run_dataset",
    "shards_key",
    "structured_rows",
    "survey",
    "survey_key",
    "write_documents",
    "write_shards",
]
