"""Pictures as files, and data URLs of them."""

import base64
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

from gateway.demo import cards


def png(image: Image.Image, comment: str | None = None, **options: Any) -> bytes:
    info = PngImagePlugin.PngInfo()
    if comment:
        info.add_text("Comment", comment)
    return _saved(image, "PNG", pnginfo=info, **options)


def jpeg(image: Image.Image, quality: int = 85, **options: Any) -> bytes:
    return _saved(image, "JPEG", quality=quality, **options)


def webp(image: Image.Image, quality: int = 85) -> bytes:
    return _saved(image, "WEBP", quality=quality)


def resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def data_url(file: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(file).decode()}"


def card(price: str, **options: Any) -> bytes:
    return png(cards.draw(price, **options))


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
