import re
from dataclasses import replace

import overseer


class TidyHandler(overseer.ActionHandler):
    def __init__(self, name, script):
        self._name = name
        self._script = script

    def describe(self):
        return overseer.ActionInfo(self._name, "tidy")

    def validate(self, params):
        pass

    def start(self, task_id, params, callbacks):
        def on_output(batch):
            lines = [re.sub("password=[^ ]*", "password=***", line) for line in batch.lines if line]
            if lines:
                callbacks.on_output(replace(batch, lines=lines))

        def on_exited(worker, exit_code, intentional, at):
            if exit_code == 3:
                callbacks.log_event("there was nothing to do")
                exit_code = 0
            callbacks.on_exited(worker, exit_code, intentional, at)

        wrapped = replace(callbacks, on_output=on_output, on_exited=on_exited)
        return overseer.start_worker(overseer.WorkerConfig(task_id, "sh", ["-c", self._script]), wrapped)


class TidyFactory:
    type = "tidy"

    def create(self, config, action_name, retry, pool, dedupe_key):
        return TidyHandler(action_name, overseer.config_text(config.get("script", "true")))


overseer.register_factory(TidyFactory())
