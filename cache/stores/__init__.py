"""Where entries live. base.py is the contract; one file per store."""
