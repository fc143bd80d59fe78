"""Replies of a model that learnt which ones are preferred: served as those of any other."""

from .instructions import Form as Form
