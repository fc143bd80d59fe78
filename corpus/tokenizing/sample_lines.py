"""A line of every script, awkward signs included: what every tokenizer is tried on."""

SAMPLES = {
    "Latin": "Return the mean of  two arrays.\n\tnaïve façade, Łódź, tiếng Việt, ß, ﬁ, İstanbul, 1,234.5e-6",
    "Cyrillic": "Привет, мир! Їжак, ёлка, Ђорђе.",
    "Greek": "Ελληνικά· ἐν ἀρχῇ ἦν ὁ λόγος",
    "Arabic": "العَرَبِيَّة لغة جميلة؛ ١٢٣",
    "Hebrew": "שָׁלוֹם עולם",
    "Devanagari": "हिन्दी में क्षत्रिय",
    "Thai": "ภาษาไทยไม่มีช่องว่าง",
    "Hangul": "한국어 문장, 각",
    "Han, simplified": "这个库计算平均值，速度很快。（测试）",
    "Han, traditional": "這個函式庫計算平均值，速度很快。𠮷野家",
    "Kana": "ひらがなとカタカナ、ﾊﾝｶｸ。",
    "Emoji": "👩‍👩‍👧‍👦 🇨🇭 👍🏽 ☺️ 😀",
    "Mathematics": "∑∫√ x² ≤ ½ 𝔸 Å",
    "Combining marks": "q̣̇ a\u0308\u0301 Z͑ͫ̓",
    "Control characters": "\x00\x01\x1b[0m\x7f\u0085\ufeff\u200b\u2028\u00a0\r\n",
    "White space": "  two\t\ttabs \n\n\n end  ",
    "Special tokens as text": "[MASK] [SEP] <s> </s> <pad> <unk> <|endoftext|> <extra_id_0> <0x41> ##ing ▁",
    "Last characters": "\ufffd\uffff\U0010ffff",
}
