"""The configuration: a YAML file and a few environment variables, read into frozen dataclasses.

Every error and warning names its file, line and key. Strings are what the file says, whatever YAML 1.1
would make of them. The keys are declared once, in this package and, where messages show the same
values, in :mod:`overseer.protocol.values`; docs/CONFIG.md is their reference.
"""

from overseer.auth.digest import Digest, digest_of
from overseer.config.limits import HistoryConfig, LimitsConfig
from overseer.config.listen import Listen, parse_cidrs, parse_listen
from overseer.config.load import load_config, parse_config, read_config
from overseer.config.model import ActionConfig, Config
from overseer.config.secrets import SecretSource
from overseer.config.security import TokenConfig
from overseer.config.standing import StandingTask
from overseer.config.storage import StorageConfig
from overseer.schema.location import ConfigErrors, ErrorCollector
from overseer.schema.scalars import TextFloat, TextInt, config_text
