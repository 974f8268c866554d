"""A real open_clip model, tiny and with random weights, as files: for every code path but the meaning.

`write(folder, seed)` makes a folder that `ClipOptions(model=f"local-dir:{folder}")` loads, in this or another
process. `register()` makes the same architecture known to open_clip (in this process) as the model `NAME`,
so that `ClipOptions(model=NAME, pretrained=str(weights))` goes the way of a named model with a file.
"""

import json
import warnings
from pathlib import Path
from typing import Any, Final

NAME: Final = "tiny-lookalike"
WEIGHTS: Final = "open_clip_model.safetensors"
SIDE: Final = 64
DIM: Final = 32

ARCHITECTURE: Final = {
    "embed_dim": DIM,
    "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
# Not the default mean, to see that a folder's own preprocessing is obeyed.
PREPROCESSING: Final = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def imported() -> Any:
    """open_clip. What its dependencies warn of while they are imported is not for our tests to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import open_clip
    return open_clip


def write(folder: Path, seed: int = 0) -> Path:
    """Makes the folder and returns the file of weights in it."""
    imported()
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):  # leaves the process's own randomness as it was
        torch.manual_seed(seed)
        model = CLIP(**ARCHITECTURE)
    config = {"model_cfg": ARCHITECTURE, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    return folder / WEIGHTS


def register(folder: Path) -> str:
    """Writes the architecture into the folder, makes open_clip know it, and returns its name."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(ARCHITECTURE))
    imported().add_model_config(path)
    return NAME
