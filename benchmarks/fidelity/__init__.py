"""How often each way to recognise a picture is right, and how often wrong, side by side on one set of pictures."""

from importlib.util import find_spec

if _missing := [name for name in ("imagehash", "pdqhash") if find_spec(name) is None]:
    raise ModuleNotFoundError(f"{', '.join(_missing)} missing: run pip install -e '.[bench]'", name=_missing[0])
