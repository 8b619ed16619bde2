"""The Hugging Face hub: a repository's files from the local cache, or over the network. The only file that asks it."""

from pathlib import Path

from chainrule.base import CheckpointError
from chainrule.tokenizer import TEMPLATE_FILES

WANTED = [
    *("config.json", "model*.safetensors", "model.safetensors.index.json", "tokenizer.json"),
    *TEMPLATE_FILES,
]
COPY_THESE = (
    "config.json, tokenizer.json and model.safetensors (or model.safetensors.index.json with every "
    "model-*.safetensors that it names)"
)


def hub_folder(name: str, *, cache: Path | None = None) -> Path:
    """The folder of a hub repository ("gpt2", "Qwen/Qwen3-0.6B"): the cached one, else downloaded.

    `cache` replaces Hugging Face's own cache folder. Raises CheckpointError when there is no such repository, or no
    network; it then says which files to copy.
    """
    # Here, because loading it takes a tenth of all that is loaded before a model answers, and few models are asked for.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The base of a broken connection's error, of whichever HTTP library is installed; the package does not export it.
    connection_errors: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
    try:
        cached = Path(snapshot_download(name, allow_patterns=WANTED, cache_dir=cache, local_files_only=True))
        if (cached / "config.json").is_file() and any(cached.glob("model*.safetensors")):
            return cached
    except HFValidationError as fault:
        raise CheckpointError(f"{name!r} is no folder here and no name on the Hugging Face hub: {fault}") from None
    except OSError:
        pass  # not in the cache (huggingface_hub's LocalEntryNotFoundError is an OSError)
    try:
        return Path(snapshot_download(name, allow_patterns=WANTED, cache_dir=cache))
    except HfHubHTTPError as fault:
        raise CheckpointError(f"{name!r} is no folder here, and the Hugging Face hub refused it: {fault}") from fault
    except connection_errors as fault:
        raise CheckpointError(
            f"{name!r} is no folder here, is not in the Hugging Face cache, and the hub cannot be reached. "
            f"On a machine with a network, open https://huggingface.co/{name}/tree/main; copy {COPY_THESE} "
            "into a folder here and give that folder's path instead"
        ) from fault
