"""The ground floor: what goes wrong, how quantities are read and printed, how a file reaches the disk whole."""

from chainrule.base.cores import usable_cores
from chainrule.base.disk import (
    disk_faults,
    folder_bytes,
    free_bytes,
    fsync_file,
    fsync_folder,
    sha256_of_file,
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
    LensError,
    MissingPackageError,
    ModelError,
    RunError,
    TokenizerError,
    TrainingError,
)
from chainrule.base.finite import finite
from chainrule.base.memory import usable_memory
from chainrule.base.nearest import nearest
from chainrule.base.units import bytes_text, count_text, duration_text, parse_count

__all__ = [
    "ChainruleError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "DiskError",
    "ExportError",
    "LensError",
    "MissingPackageError",
    "ModelError",
    "RunError",
    "TokenizerError",
    "TrainingError",
    "bytes_text",
    "count_text",
    "disk_faults",
    "duration_text",
    "finite",
    "folder_bytes",
    "free_bytes",
    "fsync_file",
    "fsync_folder",
    "nearest",
    "parse_count",
    "sha256_of_file",
    "usable_cores",
    "usable_memory",
    "whole_file",
    "write_bytes",
    "write_json",
]
