import pathlib

import overseer


class InboxHandler(overseer.ServiceHandler):
    def __init__(self, name, directory, action, interval):
        self._name = name
        self._directory = pathlib.Path(directory)
        self._action = action
        self._interval = interval
        self._seen = set()

    def describe(self):
        return overseer.ActionInfo(self._name, "inbox", "List what has been found so far")

    def validate(self, params):
        pass

    def start(self, task_id, params, callbacks):
        def tell(context, send):
            for name in sorted(self._seen):
                send("stdout", name)

        return overseer.start_virtual_worker(task_id, tell, callbacks)

    def run_service(self, stop, submitter):
        self._directory.mkdir(parents=True, exist_ok=True)
        while not stop.wait(self._interval):
            for path in self._directory.iterdir():
                if path.name not in self._seen:
                    try:
                        submitter.submit(self._action, f"pack-{path.name}", {"source": str(path)})
                    except overseer.SubmitError:
                        continue  # no room, or it is being packed already: the next round tries again
                    self._seen.add(path.name)


class InboxFactory:
    type = "inbox"

    def create(self, config, action_name, retry, pool, dedupe_key):
        problems = [
            overseer.ConfigError("is needed", path=(key,))
            for key in ("directory", "action")
            if not config.get(key)
        ]
        if problems:
            raise overseer.ConfigErrors(problems)
        interval = float(config.get("interval", 10))
        return InboxHandler(action_name, config["directory"], config["action"], interval)


overseer.register_factory(InboxFactory())
