"""Hostile bytes against everything that reads what strangers send, or what lies on a disk.

`python -m tests.fuzz --target dialects --minutes 30` fuzzes with atheris, led by coverage (`pip install -e '.[fuzz]'`);
`--engine seeded` needs nothing but Python. `test_fuzz.py` runs the same checks for a few seconds in the suite.
A check is a function of bytes that raises where a promise is broken; see target.py.
"""
