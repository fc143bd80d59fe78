import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A trainer that needs no library.
PROGRAM = (
    "from model_code.job import main; main(lambda job, reporter: {}, {'output', 'scratch', 'tokenizer'})"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not a job file"),
        ('{"tokens": "t"}', "not a job file"),
        ('{"tokens": "t", "config": {}}', "the job names no output, scratch, tokenizer"),
    ],
)
def test_a_job_that_can_not_be_read_is_one_error_event(tmp_path: Path, text: str, message: str) -> None:
    job = tmp_path / "job.json"
    job.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, job]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1
    event = json.loads(done.stdout)
    assert event["event"] == "error"
    assert message in event["message"]
    assert str(job) in event["message"]
