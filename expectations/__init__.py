"""What data must be like at each checkpoint of the pipeline: Great Expectations suites as code.

One file per checkpoint (raw_corpus.py, clean_corpus.py, tokens.py) with its demands, its rules and how they
are measured; statistics.py asks the Parquet files, residual_patterns.py says what to look for in texts,
drift.py compares with the corpus before, judgement.py judges and renders.
"""
