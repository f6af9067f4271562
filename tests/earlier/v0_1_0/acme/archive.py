import pathlib

import overseer


class ArchiveHandler(overseer.ActionHandler):
    def __init__(self, name, target):
        self._name = name
        self._target = pathlib.Path(target).absolute()

    def describe(self):
        params = {"source": None, "level": overseer.ParamSpec(default="6")}
        return overseer.ActionInfo(self._name, "archive", "Pack a directory", params)

    def validate(self, params):
        if "source" not in params:
            raise overseer.ValidationError("say which directory to pack: source")
        if params.get("level", "6") not in tuple("123456789"):
            raise overseer.ValidationError("level is a digit from 1 to 9")

    def start(self, task_id, params, callbacks):
        pack = f"--use-compress-program=gzip -{params.get('level', '6')}"
        self._target.mkdir(parents=True, exist_ok=True)
        config = overseer.WorkerConfig(
            task_id,
            "tar",
            ["--create", "--verbose", pack, f"--file={self._target}/{task_id}.tar.gz", "."],
            cwd=params["source"],
            env={"LC_ALL": "C"},
        )
        return overseer.start_worker(config, callbacks)


class ArchiveFactory:
    type = "archive"

    def create(self, config, action_name, retry, pool, dedupe_key):
        if "target" not in config:
            raise overseer.ConfigError("say where archives go", path=("target",))
        return ArchiveHandler(action_name, overseer.config_text(config["target"], ("target",)))


overseer.register_factory(ArchiveFactory())
