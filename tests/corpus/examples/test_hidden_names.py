"""The labels' names are found as people write them, and nowhere else."""

from pathlib import Path

import pytest

from corpus.examples.hidden_names import MASK, hider, mask_of, names_pattern
from tests.model_code.checkpoints import tokenizer_of


def test_names_are_found_in_compounds_and_broken_lines_but_not_inside_words() -> None:
    pattern = names_pattern({"numpy", "np", "hugging face", "C++"})
    hidden = "NumPyArray, my_numpy2, np.sum, np2, NpArray, 使用np计算, Hugging\n    face, c++"
    kept = "input, snp, npm, hugging a face, C+"
    assert pattern.sub("*", hidden) == "*Array, my_*2, *.sum, *2, *Array, 使用*计算, *, *"
    assert pattern.sub("*", kept) == kept


@pytest.mark.parametrize(
    ("labels", "text", "hidden"),
    [
        (
            ["other"],
            "Another mother, her brothers; OTHER's other-wise",
            "Another mother, her brothers; *'s *-wise",
        ),
        (
            ["torch"],
            "torch.nn PyTorch HTTPTorchServer is_torch_2 torches",
            "*.nn Py* HTTP*Server is_*_2 torches",
        ),
        (["体育", "経済"], "在体育馆里，経済学", "在*馆里，*学"),
        (["ข่าว"], "อ่านข่าววันนี้", "อ่าน*วันนี้"),
        (["경제"], "경제는", "*는"),
        (["cafe"], "cafe cafés cafe\u0301 café", "* cafés cafe\u0301 café"),
        (["café"], "Cafe\u0301 CAFÉ cafes", "* * cafes"),
        (["cafe\u0301"], "café", "*"),
        (["पानी"], "पानी पानीपत", "* पानीपत"),
        (["спорт"], "Спорт, транспорт, спортсмен", "*, транспорт, спортсмен"),
        (["c", "c++"], "C++, c, cc, c++11", "*, *, cc, *11"),
        (["scikit-learn", "scikit"], "scikit-learn, scikit_learn", "*, *_learn"),
        (["2", "3d"], "12, 2, x2, 3D, 13d, 3dx", "12, *, x2, *, 13d, 3dx"),
        (
            ["don't", "e-mail"],
            "Don\u2019t e\u2011mail, don't, e\u2010mail e\u2013mail",
            "* *, *, * e\u2013mail",
        ),
        ([".net"], "asp.net .NET .network", "asp* * .network"),
        (["c++"], "c++x", "*x"),
    ],
)
def test_names_are_whole_words_in_every_script(labels: list[str], text: str, hidden: str) -> None:
    assert hider(labels, {})(text) == hidden.replace("*", MASK)


@pytest.mark.parametrize(("style", "mask"), [("bert", "[MASK]"), ("roberta", "<mask>"), ("gpt2", MASK)])
def test_a_name_becomes_what_the_tokenizer_has_for_what_is_hidden(
    style: str, mask: str, tmp_path: Path
) -> None:
    tokenizer_of(style).save(str(tmp_path / "tokenizer.json"))
    assert mask_of(tmp_path) == mask
    assert hider(["numpy"], {}, mask)("Use NumPy, \\1.") == f"Use {mask}, \\1."
