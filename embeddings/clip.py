"""CLIP through open_clip, and the only file that knows torch. Importing it imports neither.

Rules: weights always come from a file that was found first, so that a machine without network learns
within seconds that they are missing; whatever prevents loading is an `EmbedderUnavailable` that says
what to do. `space` is made of the weights in use, never of the name they were asked for by.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
from PIL import Image

from embeddings.base import RGB, EmbedderUnavailable, Space, Vectors

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]

# How long the hub may take to say that it has a file. Then the download has all the time it needs.
HUB_ANSWER_S: Final = 5.0
# open_clip's two names for weights, the safe one first.
HUB_FILES: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
PREPROCESSING: Final = ("mean", "std", "interpolation", "resize_mode")
# A line of 1 x 5000 pixels would be scaled to 224 x 1,120,000 before its centre is cut out.
ASPECT_MAX: Final = 16
DCT_REMEDY: Final = 'use embedder = "dct", which needs no weights'


# For ViT-B-32 with laion2b's weights, as asked for by the project's owner.
THRESHOLD: Final = 0.95


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """`model` may also be "hf-hub:owner/name" or "local-dir:/path" (open_clip_config.json beside the weights);
    then `pretrained` says nothing. A file of weights is preprocessed as its model's default says: for a
    model with another preprocessing (SigLIP) give a tag or a local-dir instead."""

    model: str = "ViT-B-32"
    pretrained: str = "laion2b_s34b_b79k"  # a tag of open_clip, or a file of weights
    device: Device = "auto"
    threshold: float = THRESHOLD
    cache_dir: Path | None = None  # None: where Hugging Face keeps its files


class ClipEmbedder:
    """float32 on the CPU or one GPU. Loads in its constructor, which may take minutes (a download)."""

    calibrated: ClassVar[float] = THRESHOLD

    def __init__(self, options: ClipOptions | None = None) -> None:
        options = options or ClipOptions()
        self._torch: Any = _package("torch")
        # Half the cores: the others decode, compare and serve. Its threads wait for one another all the time, so one
        # that has to share its core holds up all: with one of two cores busy, two threads take 200-475 ms for a
        # picture, one takes 127.
        self._torch.set_num_threads(max(1, min(self._torch.get_num_threads(), (os.cpu_count() or 2) // 2)))
        self._device = _device(self._torch, options.device)
        self._model, self._preprocess = _model(options, self._device)
        self._threshold = options.threshold
        try:
            # One picture says what no config says alike for all models: the size of a vector.
            dim = self._forward([np.zeros((8, 8, 3), dtype=np.uint8)]).shape[1]
        except Exception as error:  # a GPU that is full, or too old for this torch, shows only at work
            what = f"{_name(options)} loads but does not work on {self._device} ({_brief(error)})"
            raise _unavailable(what, 'set the device to "cpu"') from error
        self._space = Space(name=f"clip:{_name(options)}", weights=_digest(self._model), dim=dim)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def threshold(self) -> float:
        return self._threshold

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        if not pictures:
            return np.empty((0, self._space.dim), dtype=np.float32)
        return self._forward(pictures)

    def _forward(self, pictures: Sequence[RGB]) -> Vectors:
        with self._torch.inference_mode():
            inputs = [self._preprocess(middle(picture)) for picture in pictures]
            batch = self._torch.stack(inputs).to(self._device)
            features = self._model.encode_image(batch).float()
            unit: torch.Tensor = self._torch.nn.functional.normalize(features, dim=-1)
            vectors: Vectors = unit.cpu().numpy()
        return vectors


def middle(picture: RGB) -> Image.Image:
    """All of the picture, or the middle of a strip that no model can make sense of.

    Not made smaller first: averaging whole pixels shifts the model's own resize by up to a pixel, more than a
    JPEG of quality 95 changes (4 grey levels against 0.6 at worst), and saves 4 ms of a forward pass's 190.
    """
    height, width = picture.shape[:2]
    longest = ASPECT_MAX * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return Image.fromarray(np.ascontiguousarray(picture[top : top + longest, left : left + longest]))


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # ImportError, or OSError for a broken shared library
        raise _unavailable(f"{name} cannot be imported ({error})", "install it (open-clip-torch, torch)") from error


def _device(torch: Any, wish: Device) -> str:
    if wish == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wish == "cuda":
        raise _unavailable("CUDA was asked for and torch finds none", 'set the device to "auto" or "cpu"')
    return "cpu"


def _model(options: ClipOptions, device: str) -> tuple[Any, "Callable[[Image.Image], torch.Tensor]"]:
    open_clip = _package("open_clip")
    arguments = _source(open_clip, options)
    try:
        model, preprocess = open_clip.create_model_from_pretrained(**arguments, device=device, precision="fp32")
    except Exception as error:  # open_clip and torch raise whatever they meet: file, format, names, memory
        source = arguments.get("pretrained") or arguments["model_name"]
        what = f"{_name(options)} cannot be loaded from {source} ({_brief(error)})"
        raise _unavailable(what, "check that the file is whole and belongs to this model") from error
    model.eval()
    return model, preprocess


def _source(open_clip: Any, options: ClipOptions) -> dict[str, Any]:
    """open_clip's arguments, naming local files only: left to itself it asks the hub even for cached ones."""
    model, tag = options.model, options.pretrained
    if model.startswith("local-dir:"):
        return {"model_name": model}
    if model.startswith("hf-hub:"):
        repo = model.removeprefix("hf-hub:")
        _from_hub(repo, HUB_FILES, options.cache_dir)
        config = _from_hub(repo, ("open_clip_config.json",), options.cache_dir)
        return {"model_name": f"local-dir:{Path(config).parent}"}
    if model not in open_clip.list_models():
        raise _unavailable(f"open_clip knows no model {model}", "see open_clip.list_models()")
    known = open_clip.get_pretrained_cfg(model, tag)
    if known:
        return {"model_name": model, "pretrained": _tagged(known, options), **_wishes(known)}
    if Path(tag).is_file():
        return {"model_name": model, "pretrained": tag}
    tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
    raise _unavailable(f"{tag!r} is neither a file nor a tag of {model}", f"its tags are: {tags}")


def _tagged(known: dict[str, Any], options: ClipOptions) -> str:
    repo, _, file = known["hf_hub"].rpartition("/")
    return _from_hub(repo, _file_names(file), options.cache_dir)


def _wishes(known: dict[str, Any]) -> dict[str, Any]:
    """What a tag says of its weights and a file cannot say."""
    preprocessing = {f"image_{key}": known[key] for key in PREPROCESSING if key in known}
    # open_clip would only warn that these weights were trained with the other GELU than the model's.
    return preprocessing | {"force_quick_gelu": bool(known.get("quick_gelu"))}


def _file_names(file: str) -> tuple[str, ...]:
    if not file:
        return HUB_FILES
    stem, _, ending = file.rpartition(".")
    return (f"{stem}.safetensors", file) if ending in ("bin", "pth") else (file,)


def _from_hub(repo: str, files: tuple[str, ...], cache_dir: Path | None) -> str:
    """The first of `files` that the cache or else the hub has.

    `hf_hub_download` alone would try six times with growing pauses, 46 s for two files without network;
    so it is called only for a file of which the hub has just answered that it is there.
    """
    hub, errors = _package("huggingface_hub"), _package("huggingface_hub.errors")
    for file in files:
        cached = hub.try_to_load_from_cache(repo, file, cache_dir=cache_dir)
        if isinstance(cached, str):
            return cached
    for file in files:
        try:
            hub.get_hf_file_metadata(hub.hf_hub_url(repo, file), timeout=HUB_ANSWER_S)
            path: str = hub.hf_hub_download(repo, file, cache_dir=cache_dir)
            return path
        except errors.EntryNotFoundError:
            continue
        except Exception as error:  # the hub's client raises its own, the transport's, and OSError
            what = f"the weights of {repo} are not in the local cache and cannot be fetched ({_brief(error)})"
            raise _unavailable(what, *_file_remedies(repo, files, cache_dir)) from error
    raise _unavailable(f"{repo} has none of {', '.join(files)}", *_file_remedies(repo, files, cache_dir))


def _file_remedies(repo: str, files: tuple[str, ...], cache_dir: Path | None) -> tuple[str, str]:
    place = f" --cache-dir {cache_dir}" if cache_dir else ""
    return (
        f"run `hf download {repo} {files[0]}{place}` where there is network and copy the cache here",
        "set clip_pretrained to a local file of these weights",
    )


def _unavailable(what: str, *remedies: str) -> EmbedderUnavailable:
    return EmbedderUnavailable(f"{what}. Either {'; or '.join((*remedies, DCT_REMEDY))}.")


def _brief(error: Exception) -> str:
    first_line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first_line[:300]}"


def _name(options: ClipOptions) -> str:
    """Neither path nor host: the same weights elsewhere are the same space."""
    if options.model.startswith("local-dir:"):
        return "local-dir"
    if options.model.startswith("hf-hub:"):
        return options.model
    return f"{options.model}/{'file' if Path(options.pretrained).is_file() else options.pretrained}"


def _digest(model: Any) -> str:
    """Of all that decides on a vector: each tensor by name, type, shape and bytes, and the preprocessing."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    preprocessing = model.visual.preprocess_cfg
    config = preprocessing if isinstance(preprocessing, dict) else asdict(preprocessing)
    digest.update(repr(sorted(config.items())).encode())
    return digest.hexdigest()[:32]
