from chainrule.base import CacheFound, processor_caches


def test_caches_are_read_level_by_level_and_what_is_no_cache_is_passed_over(tmp_path):
    told = {
        "index0": ("1", "Data", "32K", "0"),
        "index1": ("3", "Unified", "16M", "0-7"),
        "index2": ("", "Unified", "16M", "0"),
        "index3": ("4", "Unified", "many", "0"),
    }
    for name, values in told.items():
        folder = tmp_path / "sys/devices/system/cpu/cpu0/cache" / name
        folder.mkdir(parents=True)
        for file, value in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True):
            (folder / file).write_text(value + "\n")
    assert processor_caches(tmp_path) == (
        CacheFound(1, "data", 32 * 2**10, "0"),
        CacheFound(3, "unified", 16 * 2**20, "0-7"),
    )


def test_a_system_that_does_not_tell_has_no_caches(tmp_path):
    assert processor_caches(tmp_path) == ()
