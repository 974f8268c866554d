"""How often each way to recognise a picture is right, and how often wrong, side by side on one set of pictures."""
