"""The configuration: a YAML file and a few environment variables, read into frozen dataclasses.

Every error and warning names its file, line and key. Strings are what the file says, whatever YAML 1.1
would make of them. The keys are declared once, in :mod:`~overseer.config.model` and
:mod:`~overseer.config.sections`; docs/CONFIG.md is their reference.
"""

from overseer.auth.digest import Digest, digest_of
from overseer.config.listen import Listen, Network, parse_cidrs, parse_listen
from overseer.config.load import load_config, parse_config, read_config
from overseer.config.model import ActionConfig, ClientsConfig, Config, HistoryConfig, LimitsConfig, MetaConfig
from overseer.config.report import ConfigErrors, Together
from overseer.config.scalars import TextFloat, TextInt, config_text
from overseer.config.security import AuthConfig, TlsConfig, TokenConfig

__all__ = [
    "ActionConfig",
    "AuthConfig",
    "ClientsConfig",
    "Config",
    "ConfigErrors",
    "Digest",
    "HistoryConfig",
    "LimitsConfig",
    "Listen",
    "MetaConfig",
    "Network",
    "TextFloat",
    "TextInt",
    "TlsConfig",
    "Together",
    "TokenConfig",
    "config_text",
    "digest_of",
    "load_config",
    "parse_cidrs",
    "parse_config",
    "parse_listen",
    "read_config",
]
