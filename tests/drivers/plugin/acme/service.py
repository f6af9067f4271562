"""``acme-service`` submits tasks: its own task asks for one, as the parameters say, and tells the answer."""

import json
import sys
import threading
from dataclasses import replace

import overseer


def say(text):
    sys.stderr.write(f"acme: {text}\n")  # one write, for others write too


class ServiceHandler(overseer.ServiceHandler):
    def __init__(self, name):
        self._name = name
        self._submitter = None
        self._ready = threading.Event()

    def describe(self):
        return overseer.ActionInfo(self._name, "acme-service")

    def validate(self, params):
        pass

    def run_service(self, stop, submitter):
        say(f"{self._name} runs on {threading.current_thread().name}, {type(stop).__name__}")
        self._submitter = submitter
        self._ready.set()
        stop.wait()
        try:
            submitter.submit(self._name)
        except overseer.SubmitError as error:
            say(f"{self._name} is told to stop: {error}")

    def start(self, task_id, params, callbacks):
        self._ready.wait(10)

        def on_exited(worker, exit_code, intentional, at):
            if "then" in params:  # from within a callback
                self._submitter.submit("script", params["then"], {"script": "echo chained"})
            callbacks.on_exited(worker, exit_code, intentional, at)

        def run(context, send):
            try:
                asked = json.loads(params.get("submit", "null"))
                if asked is not None:
                    send("stdout", "submitted " + self._submitter.submit(*asked))
            except overseer.SubmitError as error:
                send("stdout", f"refused: {error}")

        return overseer.start_virtual_worker(task_id, run, replace(callbacks, on_exited=on_exited))


class ServiceFactory:
    type = "acme-service"

    def create(self, config, action_name, retry, pool, dedupe_key):
        return ServiceHandler(action_name)


overseer.register_factory(ServiceFactory())
