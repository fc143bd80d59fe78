"""MediaWiki markup as a reader sees it."""

import pytest

from corpus.reading.wiki_markup import plain_text
from tests.linear_time import takes_linear_time


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Tea''' is a [[drink|hot ''drink'']].", "Tea is a hot drink."),
        ("[[Tea]]s [[:Category:Drinks|drinks]]", "Teas drinks"),
        ("a{{Infobox|x={{y}}|[[z]]}}b", "ab"),
        ("It is {{convert|5|km|mi}} away, {{lang|fr|là}}.", "It is 5 km away, là."),
        ('a<ref name="x">{{cite}} [[b]]</ref>, c<ref name="x" /> d', "a, c d"),
        ("x [[File:a.jpg|thumb|A [[cup]] of tea]] y", "x y"),
        ("x[[Category:Tea]][[de:Tee]][[zh-min-nan:Tê]]", "x"),
        ("[[文件:a.jpg|缩略图|说明]]茶[[分类:茶]]", "茶"),
        ("茶是-{zh-hans:饮料;zh-hant:飲料}-，-{只有一种}-", "茶是饮料，只有一种"),
        ('a\n{| class="x"\n! h\n|-\n| [[b]] || {{c}}\n|}\nd', "a\nh\nb\nd"),
        (
            '{|\n|+ Teas of [[Asia|the East]]\n|-\n! Name !! style="x" | Place<ref>r</ref>\n|-\n'
            "| rowspan=\"2\" | [[Oolong|Wulong]]\n| Fujian,\nnorth\n|-\n|\n|| 1.5 || ''fine''\n|}",
            "Teas of the East\nName | Place\nWulong | Fujian, north\n1.5 | fine",
        ),
        ("{|\n| a\n|\n{|\n| b || c\n|-\n| d\n|}\n| e\n|}", "a | b | c d | e"),
        ("x\n{| \n| {{lang|fr|la}} || {{flag|}} || y\n|}", "x\nla | y"),
        ("<table><tr><th>a</th><td>b</td></tr>\n<tr><td>c</td></tr></table>", "a | b\nc"),
        ("{{cite|a|}} b {{flag|{{x|}}}} c", "b c"),
        ("{|\n| a<br>b || c\n|}", "a b | c"),
        ("{|\n{{!}} a {{!}}{{!}} b\n|}", "a | b"),
        ("{{(!}} class=x\n! a\n{{!-}}\n{{!}} [[b{{!}}c]]\n{{!)}}", "a\nc"),
        ("* one\n# two\n:: three\n----\nfour", "- one\n- two\nthree\nfour"),
        ("[http://x.org the site] [http://x.org]", "the site"),
        ("a &lt;b&gt; &amp;amp;&nbsp;c<br/>d <b>e</b> __TOC__<!-- x -->", "a <b> &amp; c\nd e"),
        ("Name ({{lang-ru|x}}; ) , said", "Name, said"),
        ("a <nowiki>[not a link]</nowiki>", "a [not a link]"),
        ("x <math>\\frac{a}{b}</math> y <syntaxhighlight lang='c'>int a;</syntaxhighlight>", "x y"),
        ("open [[link and {{template", "open link and template"),
        ("stray ]] and }} and |}", "stray and and"),
    ],
)
def test_markup(markup: str, text: str) -> None:
    assert plain_text(markup) == text


def test_headings_without_text_go() -> None:
    markup = "lead\n== A ==\n=== B ===\ntext\n== References ==\n{{reflist}}\n== Links ==\n=== More ===\n"
    assert plain_text(markup) == "lead\n\nA\n\nB\ntext"


@pytest.mark.parametrize(
    "markup",
    [
        *("[[a|" * 20_000 + "{{x|" * 20_000, "[[a|" * 60_000 + "]]" * 60_000, "<ref>" * 60_000),
        *("{|" * 50_000 + "|}}}" * 50_000, "[http://a b" * 30_000, "-{" * 100_000, "<!--" * 50_000),
        *("{|\n|" + "\nx" * 300_000 + "\n|}", "{|\n" + "| a || b\n|-\n" * 60_000 + "|}"),
        *("=" * 200_000, "\n==" * 60_000, "<a " * 60_000, "'" * 200_000, "(" + " " * 200_000),
    ],
)
def test_time_is_linear_for_markup_that_never_closes(markup: str) -> None:
    def shortened(size: int) -> str:  # the end closes what the beginning opened
        return markup[: size // 2] + markup[-(size // 2) :]

    assert takes_linear_time(lambda size: plain_text(shortened(size)), len(markup))
