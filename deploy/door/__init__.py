"""The door: what programs and people ask instead of Triton itself, with OpenAI's API and a page of its own.

Nothing that a client sends reaches Triton as it came: each request is read, checked against bounds, and
written anew. It is a server process of its own, in the environment of the pipeline, on loopback.
"""
