"""``acme-broken`` fails where its config says; ``acme-picky`` finds fault with its config."""

import warnings

import overseer


class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit("no text of acme")


class UnspeakableOnPurpose(Unspeakable, overseer.OverseerError):
    pass


class BrokenHandler(overseer.ServiceHandler):
    def __init__(self, name, where, script="echo orphan"):
        self._name = name
        self._where = where
        self._script = script
        self._starts = 0

    def describe(self):
        if self._where == "describe":
            raise KeyError("describe of acme")
        if self._where == "describe nothing":
            return None
        if self._where == "describe nonsense":
            return overseer.ActionInfo(self._name, "acme-broken", params={"a": "text"})
        return overseer.ActionInfo(self._name, "acme-broken")

    def validate(self, params):
        if self._where == "validate":
            raise KeyError("validate of acme")
        if self._where == "validate unspeakably":
            raise UnspeakableOnPurpose
        if self._where == "validate leaves":
            raise SystemExit(3)

    def start(self, task_id, params, callbacks):
        if self._where == "start":
            raise KeyError("start of acme")
        if self._where == "start unspeakably":
            raise Unspeakable
        if self._where == "start unspeakably on purpose":
            raise UnspeakableOnPurpose
        if self._where == "start on purpose":
            raise overseer.OverseerError("the tape drive is on fire")
        self._starts += 1
        if self._where == "start leaves" or (self._where == "next start leaves" and self._starts > 1):
            raise SystemExit(3)
        if self._where == "start nothing":
            return None
        config = overseer.WorkerConfig(task_id, "sh", ["-c", self._script])
        worker = overseer.start_worker(config, callbacks)
        if self._where == "start too much":
            raise RuntimeError(f"after the worker was started as {worker.pid}")
        if self._where == "start and forget":
            callbacks.log_event(f"forgets {worker.pid}")
            return None
        return worker

    def run_service(self, stop, submitter):
        if self._where == "service":
            raise KeyError("service of acme")
        if self._where == "service leaves":
            raise SystemExit(3)


class BrokenFactory:
    type = "acme-broken"

    def create(self, config, action_name, retry, pool, dedupe_key):
        return BrokenHandler(action_name, **config)


class PickyFactory:
    type = "acme-picky"

    def create(self, config, action_name, retry, pool, dedupe_key):
        dislikes = config.get("dislikes")
        if dislikes == "one":
            raise overseer.ConfigError("is too loud", path=("volume", 1))
        if dislikes == "several":
            one = overseer.ConfigError("is too loud", path=("volume", 1))
            raise overseer.ConfigErrors([one, overseer.ConfigError("is the wrong shade", path=("colour",))])
        if dislikes == "expression":
            overseer.compile_cel("value +")
        if dislikes == "nothing":
            return None
        if dislikes == "warn":
            warnings.warn(overseer.ConfigWarning("is out of fashion", path=("colour",)), stacklevel=1)
        return BrokenHandler(action_name, config["where"])


overseer.register_factory(BrokenFactory())
overseer.register_factory(PickyFactory())
