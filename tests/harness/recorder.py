"""A configuration as the users of the file's format write it."""

from __future__ import annotations

__all__ = ["RECORDER"]

RECORDER = """\
name: "recorder"
listen: ":8080"
db: /data/overseer.db
task_pool:
  limit: 8
  queue: {enabled: true, size: 100}
actions:
  record:
    type: exec
    dedupe_key: ["source"]
    retry: {restart_delay: "30s", error_threshold: 0, error_window: "0s"}
    config:
      entrypoint: recorder
      command: ["-s", "[[.source]]", "-r", "[[.resolution]]", "-c", "[[.cookies]]", "-o", "/data/{{.Name}}/\
{{.Year}}-{{.Month}}"]
      parameters:
        source: {}
        resolution: {default: "1080", validate: 'value in ["480", "720", "1080"]'}
        cookies: {default: ""}
      output:
        stdout: {condition: "has(output.json.event)"}
        stderr: {condition: "false"}
"""
