"""The labels' names are found as people write them, and nowhere else."""

from tasks.labelled.names import names_pattern


def test_names_are_found_in_compounds_and_broken_lines_but_not_inside_words() -> None:
    pattern = names_pattern({"numpy", "np", "hugging face", "C++"})
    hidden = "NumPyArray, my_numpy2, np.sum, np2, NpArray, 使用np计算, Hugging\n    face, c++"
    kept = "input, snp, npm, hugging a face, C+"
    assert pattern.sub("*", hidden) == "*Array, my_*2, *.sum, *2, *Array, 使用*计算, *, *"
    assert pattern.sub("*", kept) == kept
