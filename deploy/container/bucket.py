"""Make the bucket for MLflow's files unless it is there: `python -m deploy.container.bucket NAME`.

At the server of `MLFLOW_S3_ENDPOINT_URL`, with the credentials of AWS's own variables.
"""

from __future__ import annotations

import os
import sys


def make(name: str) -> None:
    """One that is there is left as it is."""
    import boto3

    s3 = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"], region_name="us-east-1")
    if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name)


if __name__ == "__main__":
    make(sys.argv[1])
