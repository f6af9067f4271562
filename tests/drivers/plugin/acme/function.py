"""``acme-function`` runs one of the functions below, which its config names, as a virtual worker."""

import threading

import overseer


def count(context, send, params):
    for number in range(int(params.get("to", "3"))):
        send("stdout", str(number))
    send("stderr", "done")
    return int(params.get("code", "0"))


def nothing(context, send, params):
    pass


def until_stopped(context, send, params):
    send("stdout", f"ready {context.task_id} {isinstance(context.stopped, threading.Event)}")
    send("stdout", f"a short wait said {context.wait(0.01)}")
    said = context.wait(60)
    send("stdout", f"the long wait said {said}, stopped is {context.stopped.is_set()}")
    return 5


def many_threads(context, send, params):
    def talk(name):
        for number in range(200):
            send("stdout" if number % 2 else "stderr", f"{name} {number}")

    threads = [threading.Thread(target=talk, args=(f"t{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def raising(context, send, params):
    send("stdout", "before")
    raise ValueError("first\nsecond")


def leaving(context, send, params):
    raise SystemExit(3)


def wrong_result(context, send, params):
    return "7"


def true(context, send, params):
    return True


def wrong_stream(context, send, params):
    send("stdlog", "x")


def ignoring(context, send, params):
    send("stdout", "ready")
    context.stopped.wait()
    threading.Event().wait(1.0)  # longer than the grace
    send("stdout", "too late")
    return 0


def lines(context, send, params):
    for text in ("two\nlines", "", "ends\n", "umlaut \u00fc", "half \ud800"):
        send("stdout", text)


def where(context, send, params):
    send("stdout", threading.current_thread().name)


FUNCTIONS = (count, nothing, until_stopped, many_threads, raising, leaving, wrong_result, true, wrong_stream)
BY_NAME = {function.__name__: function for function in (*FUNCTIONS, ignoring, lines, where)}


class FunctionHandler(overseer.ActionHandler):
    def __init__(self, name, function):
        self._name = name
        self._function = function

    def describe(self):
        return overseer.ActionInfo(self._name, "acme-function")

    def validate(self, params):
        pass

    def start(self, task_id, params, callbacks):
        def run(context, send):
            return self._function(context, send, params)

        return overseer.start_virtual_worker(task_id, run, callbacks)


class FunctionFactory:
    type = "acme-function"

    def create(self, config, action_name, retry, pool, dedupe_key):
        name = config.get("function", "")
        if name not in BY_NAME:
            raise overseer.ConfigError(f"no such function: {name!r}", path=("function",))
        return FunctionHandler(action_name, BY_NAME[name])


overseer.register_factory(FunctionFactory())
