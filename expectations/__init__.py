"""What data must be like at each checkpoint of the line: Great Expectations suites as code.

One file per checkpoint (clean_corpus.py); statistics.py measures, checkpoint.py judges and renders.
"""
