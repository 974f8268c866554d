"""`python -m tests.fuzz`: one target, for so many minutes or inputs; what was run and found, in words.

atheris leads by coverage, and instruments what it imports: it comes first, the rest is imported under its eyes.
"""

import argparse
import importlib
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target

TARGETS = {"dialects": "dialects", "framing": "framings", "codec": "codecs", "pictures": "pictures"}
# An input that takes longer is a finding.
_SECONDS_MAX = 10


def load(name: str) -> Target:
    target: Target = importlib.import_module(f"tests.fuzz.{TARGETS[name]}").target()
    return target


def run_seeded(target: Target, seed: int, runs: int, seconds: float = float("inf")) -> Counter[str]:
    """Every sample, and then mutations of them: inputs per check. Raises what a check raises, with the input."""
    chance, seeds, counts = Random(seed), target.seeds(), Counter[str]()
    by_check = [[seed for seed in seeds if target.meant(seed) is check] for check in target.checks]
    end = time.monotonic() + seconds
    for number in range(len(seeds) + runs):
        if time.monotonic() > end:
            break
        mutant = number >= len(seeds)
        data = mutated(chance.choice(chance.choice(by_check)), chance, target.bytes_max) if mutant else seeds[number]
        try:
            target.run(data)
        except Exception as error:
            error.add_note(f"{target.name}, {target.meant(data).name}: {data!r}")
            raise
        counts[target.meant(data).name] += 1
    return counts


def _run_atheris(name: str, minutes: float, seed: int, corpus: Path, found: Path, megabytes: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["gateway", "cache"]):
        target = load(name)
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    counts = Counter[str]()
    shown = time.monotonic() + 60

    def one_input(data: bytes) -> None:
        nonlocal shown
        counts[target.meant(data).name] += 1
        if time.monotonic() > shown:
            shown = time.monotonic() + 60
            print(f"{sum(counts.values()):,} inputs: {dict(counts)}", flush=True)
        target.run(data)

    def other(data: bytes, size_max: int, number: int) -> bytes:
        chance = Random(number)
        if chance.random() < 0.4:
            return bytes(atheris.Mutate(data, size_max))
        return mutated(data, chance, size_max)

    flags = [f"-max_total_time={round(minutes * 60)}", f"-seed={seed}", f"-max_len={target.bytes_max}"]
    flags += [f"-timeout={_SECONDS_MAX}", f"-rss_limit_mb={megabytes}", f"-artifact_prefix={found}/"]
    flags += ["-print_final_stats=1", "-verbosity=1", "-reduce_inputs=0"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one_input, custom_mutator=other)
    atheris.Fuzz()  # ends the process


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "seeded"), default="atheris")
    parser.add_argument(
        "--corpus", type=Path, help="inputs to begin with and to add to; a folder of its own by default"
    )
    parser.add_argument("--found", type=Path, default=Path("found"), help="where an input that breaks something goes")
    parser.add_argument(
        "--megabytes", type=int, default=2048, help="memory of the whole run, beyond which its last input is a finding"
    )
    parser.add_argument("--input", type=Path, help="one input, once: what was found before")
    given = parser.parse_args()
    if given.input:
        load(given.target).run(given.input.read_bytes())
        print("held")
    elif given.engine == "seeded":
        target, begun_mb = load(given.target), _peak_mb()
        counts = run_seeded(target, given.seed, sys.maxsize, given.minutes * 60)
        print(f"{given.target}: {sum(counts.values()):,} inputs with seed {given.seed}, nothing found: {dict(counts)}")
        print(f"memory at its peak: {begun_mb:.0f} MB before, {_peak_mb():.0f} MB in the end")
    else:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            corpus = given.corpus or Path(folder)
            _run_atheris(given.target, given.minutes, given.seed, corpus, given.found, given.megabytes)


if __name__ == "__main__":
    main()
