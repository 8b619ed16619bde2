"""The ground floor: what goes wrong, how quantities are read and printed, how a file reaches the disk whole."""

from chainrule.base._user_cache import user_cache
from chainrule.base.caches import CacheFound, processor_caches
from chainrule.base.cores import Cores, found_cores, usable_cores
from chainrule.base.crowded import refuse_crowded, settings_json
from chainrule.base.disk import (
    disk_faults,
    fsync_file,
    fsync_folder,
    new_file,
    open_file,
    refusal_of,
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
    RankError,
    RunError,
    TokenizerError,
    TrainingError,
    UserError,
)
from chainrule.base.finiteness import finite
from chainrule.base.freed import MALLOC_SETTINGS, freed_memory_kept
from chainrule.base.layers import block_of, layer_in_words, layer_of
from chainrule.base.letters import json_escape, printable, short_lines, with_letters_told
from chainrule.base.memory import address_space_limit, available_memory, resident_bytes, usable_memory
from chainrule.base.pressure import Pressure, busy_seconds, cpu_pressure
from chainrule.base.processor import CLASSES, ProcessorClass, held_down, processor_class, processor_name
from chainrule.base.refused import out_of_memory, system_refusals
from chainrule.base.room import FLOOR_BYTES, folder_bytes, free_bytes, most_file_bytes, require_room
from chainrule.base.seals import read_sealed, unsealed, write_sealed
from chainrule.base.spinning import ASLEEP, others_cores, sleep_beside, spins
from chainrule.base.sums import SUMS, read_sums, sums_of, write_sums
from chainrule.base.typos import nearest
from chainrule.base.units import (
    bytes_text,
    count_text,
    duration_text,
    parse_bytes,
    parse_count,
    parse_minutes,
    ratio_text,
    speed_text,
)
from chainrule.base.world import World

__all__ = [
    "ASLEEP",
    "CLASSES",
    "FLOOR_BYTES",
    "MALLOC_SETTINGS",
    "SUMS",
    "CacheFound",
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
    "Pressure",
    "ProcessorClass",
    "RankError",
    "RunError",
    "TokenizerError",
    "TrainingError",
    "UserError",
    "World",
    "address_space_limit",
    "available_memory",
    "block_of",
    "busy_seconds",
    "bytes_text",
    "count_text",
    "cpu_pressure",
    "disk_faults",
    "duration_text",
    "finite",
    "folder_bytes",
    "found_cores",
    "free_bytes",
    "freed_memory_kept",
    "fsync_file",
    "fsync_folder",
    "held_down",
    "json_escape",
    "layer_in_words",
    "layer_of",
    "most_file_bytes",
    "nearest",
    "new_file",
    "open_file",
    "others_cores",
    "out_of_memory",
    "parse_bytes",
    "parse_count",
    "parse_minutes",
    "printable",
    "processor_caches",
    "processor_class",
    "processor_name",
    "ratio_text",
    "read_sealed",
    "read_sums",
    "refusal_of",
    "refuse_crowded",
    "require_room",
    "resident_bytes",
    "settings_json",
    "sha256_of_file",
    "short_lines",
    "sleep_beside",
    "speed_text",
    "spins",
    "sums_of",
    "system_refusals",
    "temporary_name",
    "unsealed",
    "usable_cores",
    "usable_memory",
    "user_cache",
    "whole_file",
    "with_letters_told",
    "write_bytes",
    "write_json",
    "write_sealed",
    "write_sums",
]
