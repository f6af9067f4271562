import overseer


class CountdownHandler(overseer.ActionHandler):
    def __init__(self, name, pause):
        self._name = name
        self._pause = pause
        self._rule = overseer.compile_cel('value.matches("^[0-9]+$") && int(value) <= 100')

    def describe(self):
        return overseer.ActionInfo(self._name, "countdown", params={"start": None})

    def validate(self, params):
        if not overseer.eval_cel_bool(self._rule, params.get("start", "")):
            raise overseer.ValidationError("start is a number up to 100")

    def start(self, task_id, params, callbacks):
        def count(context, send):
            for number in range(int(params["start"]), 0, -1):
                send("stdout", str(number))
                if context.wait(self._pause):
                    send("stderr", "aborted")
                    return 2
            send("stdout", "lift-off")
            return 0

        return overseer.start_virtual_worker(task_id, count, callbacks)


class CountdownFactory:
    type = "countdown"

    def create(self, config, action_name, retry, pool, dedupe_key):
        return CountdownHandler(action_name, float(config.get("pause", 1)))


overseer.register_factory(CountdownFactory())
