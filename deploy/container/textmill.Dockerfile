# textmill with everything it starts itself, and Prefect's and MLflow's servers for PostgreSQL and S3.
# The context is this repository:
#   docker build -f deploy/container/textmill.Dockerfile -t textmill:0.1.0 .
FROM python:3.12.14-slim-trixie

# Debian keeps only the newest build of a package, so a pinned one could not be installed next month.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/textmill
COPY . .
# The same rules and lock files as everywhere else.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN make install PYTHON=python3.12 \
    && .venv/bin/python -m pip install --no-deps -r deploy/container/servers.txt

# The number of the user in NVIDIA's image: both read one home. A new volume takes this folder's owner and mode.
RUN useradd --uid 1000 --create-home textmill && install -d -o textmill -g textmill -m 0700 /mill
ENV PATH=/opt/textmill/.venv/bin:$PATH TEXTMILL_HOME=/mill PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
VOLUME /mill
ENTRYPOINT ["python", "-m", "deploy.container.with_secrets"]
CMD ["textmill", "--help"]
