"""Writes `wordnet/`, a small part of WordNet 3.0 in its own format, of the folder that is given.

    python tests/augmenters/make_wordnet.py /usr/share/wordnet

It holds WORDS and all that stand in a synset with one of them or opposite to one, each with all of
its meanings; synsets keep only those words, and only pointers to antonyms, and no glosses. So what
there is to say of WORDS is as in the whole. The licence stands in `wordnet/LICENSE` and, as in the
original, at the head of each file that has it there.
"""

import sys
from pathlib import Path
from typing import NamedTuple

WORDS = {
    *("able", "answer", "automobile", "begin", "big", "buy", "car", "child", "decrease"),
    *("difficult", "doctor", "early", "easy", "end", "error", "expensive", "happen", "increase"),
    *("large", "larger", "late", "mistake", "poor", "quickly", "remember", "rich", "slowly"),
    *("small", "start", "strong", "weak", "wealthy"),
}
NAMES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


class Synset(NamedTuple):
    """A line of a data file."""

    head: list[str]
    words: list[tuple[str, str]]
    antonyms: list[tuple[str, str]]
    """(offset, source and target) of each."""

    def names(self) -> list[str]:
        """Return its words as the index has them."""
        return [word.partition("(")[0].lower() for word, _ in self.words]


def main(source: Path, target: Path) -> None:
    """Write the part."""
    index = {part: read_index(source / f"index.{name}") for part, name in NAMES.items()}
    data = {part: read_data(source / f"data.{name}") for part, name in NAMES.items()}
    kept = set(WORDS)
    for part in NAMES:
        for word in WORDS:
            for offset in index[part].get(word, []):
                kept.update(data[part][offset].names())
                for other, _ in data[part][offset].antonyms:
                    kept.update(data[part][other].names())
    for part, name in NAMES.items():
        offsets = sorted({o for word in kept for o in index[part].get(word, [])})
        lines, moved = written(offsets, data[part], kept, licence(source / f"data.{name}"))
        (target / f"data.{name}").write_text(lines)
        rows = [
            f"{word} {part} {len(old)} 0 {len(old)} 0 {' '.join(moved[o] for o in old)}  \n"
            for word, old in sorted(index[part].items())
            if word in kept
        ]
        (target / f"index.{name}").write_text(licence(source / f"index.{name}") + "".join(rows))
        forms = (source / f"{name}.exc").read_text().splitlines(keepends=True)
        few = [line for line in forms if kept & set(line.split()[1:])]
        (target / f"{name}.exc").write_text("".join(few))
    counts = (source / "cntlist.rev").read_text().splitlines(keepends=True)
    few = [line for line in counts if line.partition("%")[0] in kept]
    (target / "cntlist.rev").write_text("".join(few))


def licence(path: Path) -> str:
    """Return the lines at the head of a file that begin with two spaces."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("  "))


def read_index(path: Path) -> dict[str, list[str]]:
    """Return the offsets of the synsets of each word."""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("  "):
            fields = line.split()
            found[fields[0]] = fields[-int(fields[2]) :]
    return found


def read_data(path: Path) -> dict[str, Synset]:
    """Return the synsets at each offset."""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("  "):
            fields = line.partition(" | ")[0].split()
            size = int(fields[3], 16)
            words = list(
                zip(fields[4 : 4 + 2 * size : 2], fields[5 : 5 + 2 * size : 2], strict=True)
            )
            count, rest = int(fields[4 + 2 * size]), fields[5 + 2 * size :]
            pointers = [rest[at : at + 4] for at in range(0, 4 * count, 4)]
            antonyms = [(p[1], p[3]) for p in pointers if p[0] == "!"]
            found[fields[0]] = Synset(fields[:3], words, antonyms)
    return found


def written(
    offsets: list[str], synsets: dict[str, Synset], kept: set[str], head: str
) -> tuple[str, dict[str, str]]:
    """Return the text of a data file, and the new offset of each synset."""
    places = {o: [n for n, w in enumerate(synsets[o].names()) if w in kept] for o in offsets}
    moved, end, lines = dict.fromkeys(offsets, "0" * 8), len(head.encode()), []
    for done in (False, True):  # first for the lengths, which do not depend on the offsets
        at, lines = end, []
        for offset in offsets:
            synset = synsets[offset]
            if not done:
                moved[offset] = f"{at:08}"
            words = " ".join(" ".join(synset.words[n]) for n in places[offset])
            pointers = []
            for other, way in synset.antonyms:
                here, there = int(way[:2], 16) - 1, int(way[2:], 16) - 1
                if other in places and here in places[offset] and there in places[other]:
                    new = (
                        f"{places[offset].index(here) + 1:02x}{places[other].index(there) + 1:02x}"
                    )
                    pointers.append(f"! {moved[other]} {synset.head[2].replace('s', 'a')} {new}")
            line = [moved[offset], *synset.head[1:], f"{len(places[offset]):02x}", words]
            line += [f"{len(pointers):03}", *pointers]
            lines.append(" ".join(line) + "  \n")
            at += len(lines[-1].encode())
    return head + "".join(lines), moved


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "wordnet")
