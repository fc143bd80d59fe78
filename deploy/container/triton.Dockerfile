# NVIDIA's Triton for the endpoints of a textmill home. The context is this repository:
#   docker build -f deploy/container/triton.Dockerfile --target server -t textmill-triton:26.10-1 .
# serves what is mounted at /models. With the repository inside, an image a release:
#   docker build -f deploy/container/triton.Dockerfile --target with-models \
#     --build-context models=.textmill/triton/models -t registry.example.org/textmill-triton:python-docs-1 .
FROM nvcr.io/nvidia/tritonserver:26.10-py3 AS server

# Into the system's Python, which Triton's Python backend runs: it does not look at PYTHONPATH.
COPY deploy/container/served.txt /opt/textmill/served.txt
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --break-system-packages \
    --no-deps --require-hashes --only-binary :all: -r /opt/textmill/served.txt

COPY deploy/__init__.py deploy/access.py /opt/textmill/deploy/
COPY deploy/container/serve.py deploy/container/probe.py /opt/textmill/deploy/container/
WORKDIR /opt/textmill
# No secret: a word in a name looks like one.
# hadolint ignore=DL3064
ENV ORT_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# The owner of a home that the other image made has this number too, and may read its 0600 files.
USER 1000:1000
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 \
    CMD ["python3", "-m", "deploy.container.probe"]
# Behind NVIDIA's entry point, which looks for the driver and then becomes this command.
CMD ["python3", "-m", "deploy.container.serve"]

FROM server AS with-models
# The context `models` is named when the image is built.
# hadolint ignore=DL3022
COPY --from=models --chown=1000:1000 . /models
