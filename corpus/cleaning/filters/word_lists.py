"""Counts the words of word lists in documents: what is toxic, and which groups of people are spoken of.

Counts tell what is in a corpus before a model learns it; no list is complete and no word is wrong
in every text, so a list filters only where the recipe sets a limit. Entries are compared by their units
(`text/text_units.py`): whole words in any case, and character by character in Chinese.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpus.cleaning.config import WordListsConfig
from corpus.cleaning.text.text_units import unit_hashes

TOXICITY = """
arse arsehole arseholes ass asses asshole assholes bastard bastards bitch bitches bitching bollocks
bullshit cocksucker cocksuckers crap cum cunt cunts damn dickhead dickheads dipshit douchebag fag faggot
faggots fags fuck fucked fucker fuckers fucking fucks goddamn horseshit jackass jerkoff moron morons
motherfucker motherfuckers motherfucking piss pissed pussy retard retarded retards scumbag scumbags shit
shithead shits shitty skank slut sluts twat wanker wankers whore whores 傻逼 傻b 煞笔 操你妈 草泥马
他妈的 你妈的 妈的 去你妈 婊子 贱人 贱货 王八蛋 混蛋 狗屎 狗娘养的 脑残 智障 弱智 白痴 畜生 杂种 人渣
废物 滚蛋 去死 贱种 死全家 屌丝 装逼 牛逼 放屁
"""
GROUPS = """
woman women female females girl girls mother mothers wife wives lady ladies feminist feminists man men
male males boy boys father fathers husband husbands gentleman gentlemen gay gays lesbian lesbians
bisexual bisexuals transgender transsexual queer homosexual homosexuals heterosexual christian
christians catholic catholics protestant protestants muslim muslims islamic jew jews jewish hindu hindus
buddhist buddhists atheist atheists sikh sikhs african africans arab arabs asian asians blacks whites
caucasian caucasians hispanic hispanics latino latinos latina latinas indigenous roma chinese japanese
korean koreans indian indians mexican mexicans russian russians american americans european europeans
immigrant immigrants migrant migrants refugee refugees foreigner foreigners disabled disability blind
deaf autistic wheelchair elderly teenager teenagers homeless 女性 妇女 女人 女孩 女生 男性 男人 男孩
男生 母亲 父亲 妻子 丈夫 同性恋 双性恋 异性恋 跨性别 基督徒 天主教徒 穆斯林 犹太人 印度教徒 佛教徒
无神论者 黑人 白人 亚洲人 非洲人 阿拉伯人 少数民族 汉族 藏族 回族 维吾尔族 蒙古族 日本人 韩国人 美国人
俄罗斯人 外国人 移民 难民 农民工 残疾人 盲人 聋人 自闭症 老年人 老人 年轻人 穷人
"""
BUILT_IN = {"groups": tuple(GROUPS.split()), "toxicity": tuple(TOXICITY.split())}

_SLOTS = 1 << 16


class WordLists:
    """The lists of a recipe, ready for counting."""

    def __init__(self, config: WordListsConfig) -> None:
        lists = {**BUILT_IN, **config.lists}
        self.names = tuple(sorted(lists))
        self._max_share = config.max_share
        entries = [(entry, number) for number, name in enumerate(self.names) for entry in lists[name]]
        hashes, offsets = unit_hashes(pa.array([entry for entry, _ in entries], pa.string()))
        # Of entries that begin alike the longest is tried first.
        order = sorted(range(len(entries)), key=lambda i: (hashes[offsets[i]], offsets[i] - offsets[i + 1]))
        order = [i for i in order if offsets[i + 1] > offsets[i]]
        spans = [hashes[offsets[i] : offsets[i + 1]] for i in order]
        self._units = np.concatenate([*spans, np.zeros(0, np.uint64)])
        self._bounds = np.cumsum([0, *map(len, spans)]).astype(np.int64)
        self._list_of = np.array([entries[i][1] for i in order], np.int64)
        self._first = self._units[self._bounds[:-1]]
        self._starts = np.zeros(_SLOTS, np.bool_)
        self._starts[(self._first >> np.uint64(8)) & np.uint64(_SLOTS - 1)] = True

    def count(
        self, hashes: npt.NDArray[np.uint64], offsets: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[np.int32]]:
        """How many entries of each list occur in each text: int32 [n] by list.

        Args:
            hashes: the units of all texts, uint64 [total].
            offsets: where those of each text begin, int64 [n + 1] (both from `unit_hashes`).
        """
        counts = _count(
            hashes,
            offsets,
            self._starts,
            self._first,
            self._units,
            self._bounds,
            self._list_of,
            len(self.names),
        )
        return {name: counts[:, number].copy() for number, name in enumerate(self.names)}

    def failures(
        self, counts: dict[str, npt.NDArray[np.int32]], words: npt.NDArray[np.int64]
    ) -> tuple[list[str | None], npt.NDArray[np.float64]]:
        """The first list of which each text has more than the recipe allows (`words_<list>`), and its share.

        Args:
            counts: from `count`.
            words: units of each text, int64 [n].
        """
        names: list[str | None] = [None] * len(words)
        values = np.zeros(len(words))
        for name, most in sorted(self._max_share.items()):
            shares = counts[name] / np.maximum(words, 1)
            for row in np.flatnonzero(shares > most).tolist():
                if names[row] is None:
                    names[row], values[row] = f"words_{name}", shares[row]
        return names, values


@njit(cache=True, nogil=True)
def _count(
    hashes: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    starts: npt.NDArray[np.bool_],
    first: npt.NDArray[np.uint64],
    units: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    list_of: npt.NDArray[np.int64],
    lists: int,
) -> npt.NDArray[np.int32]:
    counts = np.zeros((len(offsets) - 1, lists), np.int32)
    for row in range(len(offsets) - 1):
        position, end = offsets[row], offsets[row + 1]
        while position < end:
            matched = 0
            # Few units begin an entry; this look at one bit spares the search for nearly all of them.
            if starts[(hashes[position] >> np.uint64(8)) & np.uint64(0xFFFF)]:
                entry = np.searchsorted(first, hashes[position])
                while entry < len(first) and first[entry] == hashes[position]:
                    length = bounds[entry + 1] - bounds[entry]
                    if length <= end - position and np.all(
                        units[bounds[entry] : bounds[entry + 1]] == hashes[position : position + length]
                    ):
                        counts[row, list_of[entry]] += 1
                        matched = length
                        break
                    entry += 1
            position += max(matched, 1)
    return counts
