"""``acme-process`` runs the script of a parameter with all that ``start_worker`` can do."""

import json
from dataclasses import asdict

import overseer


class ProcessHandler(overseer.ActionHandler):
    def __init__(self, config, created_with):
        self._config = config
        self._created_with = created_with

    def describe(self):
        # Forgets the dedupe_key and the description of the configuration, and gets name and type wrong.
        return overseer.ActionInfo(
            "mistaken",
            "mistaken",
            description=json.dumps(self._created_with),
            params={"script": None, "size": overseer.ParamSpec(default="small")},
        )

    def validate(self, params):
        if "script" not in params:
            raise overseer.ValidationError("say which script")
        params["size"] = "changed by validate, which must not matter"

    def start(self, task_id, params, callbacks):
        config = overseer.WorkerConfig(
            task_id,
            self._config.get("shell", "sh"),
            ["-c", params["script"], "sh", params.get("size", "small")],
            include_stdout=self._config.get("stdout", True),
            include_stderr=self._config.get("stderr", True),
            env=self._config.get("env"),
            cwd=self._config.get("cwd"),
            stdin=self._config.get("stdin", "none"),
            pty=tuple(self._config.get("pty", (24, 80))),
        )
        return overseer.start_worker(config, callbacks)


class ProcessFactory:
    type = "acme-process"

    def create(self, config, action_name, retry, pool, dedupe_key):
        created_with = {
            "config": config,
            "action_name": action_name,
            "retry": asdict(retry),
            "limit": pool.limit,
            "dedupe_key": dedupe_key,
        }
        return ProcessHandler(config, created_with)


overseer.register_factory(ProcessFactory())
