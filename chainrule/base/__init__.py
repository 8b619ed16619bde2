"""The ground floor: what goes wrong, how quantities are read and printed, how a file reaches the disk whole."""

from chainrule.base.cores import Cores, found_cores, usable_cores
from chainrule.base.disk import (
    disk_faults,
    folder_bytes,
    free_bytes,
    fsync_file,
    fsync_folder,
    most_file_bytes,
    new_file,
    sha256_of_file,
    temporary_name,
    whole_file,
    write_bytes,
    write_json,
)
from chainrule.base.errors import (
    ChainruleError,
    CheckpointError,
    ConfigError,
    DataError,
    DeviceError,
    DiskError,
    ExportError,
    Interrupted,
    LensError,
    MissingPackageError,
    ModelError,
    RunError,
    TokenizerError,
    TrainingError,
)
from chainrule.base.finiteness import finite
from chainrule.base.layers import block_of, layer_in_words, layer_of
from chainrule.base.memory import available_memory, usable_memory
from chainrule.base.processor import CLASSES, ProcessorClass, processor_class, processor_name
from chainrule.base.refused import out_of_memory, system_refusals
from chainrule.base.spinning import spin_less, spins
from chainrule.base.typos import nearest
from chainrule.base.units import bytes_text, count_text, duration_text, parse_count, parse_minutes

__all__ = [
    "CLASSES",
    "ChainruleError",
    "CheckpointError",
    "ConfigError",
    "Cores",
    "DataError",
    "DeviceError",
    "DiskError",
    "ExportError",
    "Interrupted",
    "LensError",
    "MissingPackageError",
    "ModelError",
    "ProcessorClass",
    "RunError",
    "TokenizerError",
    "TrainingError",
    "available_memory",
    "block_of",
    "bytes_text",
    "count_text",
    "disk_faults",
    "duration_text",
    "finite",
    "folder_bytes",
    "found_cores",
    "free_bytes",
    "fsync_file",
    "fsync_folder",
    "layer_in_words",
    "layer_of",
    "most_file_bytes",
    "nearest",
    "new_file",
    "out_of_memory",
    "parse_count",
    "parse_minutes",
    "processor_class",
    "processor_name",
    "sha256_of_file",
    "spin_less",
    "spins",
    "system_refusals",
    "temporary_name",
    "usable_cores",
    "usable_memory",
    "whole_file",
    "write_bytes",
    "write_json",
]
