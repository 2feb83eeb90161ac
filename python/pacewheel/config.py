"""All settings, from four layers, checked before anything starts.

Owns `Config`. Each field is one line: its default, how it is read, its range and its help; the
names in the environment (`PACEWHEEL_<NAME>`), in the TOML file (`<name>`) and on the command line
(`--<name>`) follow from it. Layers, later ones win: defaults, environment, TOML file, flags.
Nothing is guessed: an unknown key or a value out of range is refused with its source and what is
expected, in one line.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacewheel import kinds
from pacewheel.errors import ConfigInvalid
from pacewheel.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.kinds import Kind

ENV_PREFIX = "PACEWHEEL_"
CONFIG_FILE_VARIABLE = "PACEWHEEL_CONFIG"
USER_AGENT = "pacewheel/0.1"
_SHOWN_CHARACTERS_MAX = 80


def _setting(default: Any, kind: Kind, help_text: str) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help_text})


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """The settings of one process; whoever builds one gets it checked.

    Durations carry their unit in the name. `repr` shows no password.

    Raises:
        ConfigInvalid: a value is out of range, or two values contradict each other.
    """

    dsn: str | None = _setting(
        None,
        kinds.dsn(),
        "PostgreSQL to use; without one the embedded server is started",
    )
    schema: str = _setting(
        "pacewheel",
        kinds.text(r"[a-z_][a-z0-9_]{0,39}", "a name of 1 to 40 lower-case letters, digits and _"),
        "schema that holds everything",
    )
    # The call returns a dataclasses.field, which the rule only knows by that name.
    data_dir: Path | None = _setting(  # noqa: RUF009
        None, kinds.directory(), "where the embedded server keeps its data"
    )
    capacity: int = _setting(
        64, kinds.number(1, 10_000, whole=True), "tasks this process runs at once, at most"
    )
    capacity_min: int = _setting(
        8,
        kinds.number(1, 10_000, whole=True),
        "slots an idle process keeps; never more than capacity",
    )
    scale_interval_s: float = _setting(
        1.0, kinds.number(0.01, 3_600), "time between two decisions about the number of slots"
    )
    memory_max_mb: int = _setting(
        0,
        kinds.number(0, 100_000_000, whole=True),
        "above 80 % of it no slot comes; 0: what the kernel allows",
    )
    pool_max: int = _setting(
        70,
        kinds.number(2, 1_000, whole=True),
        "most database connections for work; see Connections",
    )
    pool_idle_max: int = _setting(
        20, kinds.number(1, 1_000, whole=True), "most of them that stay open unused"
    )
    reserve_connections: int = _setting(
        20,
        kinds.number(0, 10_000, whole=True),
        "connections that all processes leave for administration",
    )
    pooler: bool = _setting(
        False, kinds.switch(), "a transaction pooler stands before the database"
    )
    direct_dsn: str | None = _setting(
        None, kinds.dsn(), "the database past the pooler, for hints and the heartbeat"
    )
    lease_ttl_s: float = _setting(
        10.0, kinds.number(1, 3_600), "how long a silent process keeps its domains"
    )
    heartbeat_s: float = _setting(
        2.5, kinds.number(0.05, 1_000), "time between two renewals of the lease"
    )
    lease_margin_s: float = _setting(
        2.0, kinds.number(0, 1_000), "how long before its lease ends a process stops starting tasks"
    )
    domains_max: int = _setting(
        5_000, kinds.number(1, 1_000_000, whole=True), "domains one process holds"
    )
    idle_release_s: float = _setting(
        5.0, kinds.number(0, 3_600), "how long a domain without work is kept"
    )
    horizon_s: float = _setting(
        300.0, kinds.number(1, 450), "how far ahead timers are kept in memory"
    )
    sweep_s: float = _setting(
        60.0, kinds.number(0.1, 3_600), "time between two sweeps for what no timer covers"
    )
    reconcile_interval_s: float = _setting(
        300.0, kinds.number(0.1, 86_400), "time between two comparisons of counters with tasks"
    )
    slow_transaction_ms: float = _setting(
        1_000.0,
        kinds.number(0, 3_600_000),
        "a transaction that takes longer is slow: counted, and logged now and then",
    )
    results_keep_days: float = _setting(
        35.0, kinds.number(0, 36_500), "results older than this are removed; 0: never"
    )
    jobs_keep_days: float = _setting(
        30.0,
        kinds.number(0, 36_500),
        "jobs that ended before are removed, but for the last run of each; 0: never",
    )
    domains_keep_days: float = _setting(
        365.0,
        kinds.number(0, 36_500),
        "domains without a job for so long are removed, with their last run; 0: never",
    )
    workers_keep_days: float = _setting(
        7.0, kinds.number(0, 36_500), "rows of dead processes are removed after so long; 0: never"
    )
    prune_interval_s: float = _setting(
        3_600.0, kinds.number(0.1, 86_400), "time between two removals of what is old"
    )
    lead_ms: int = _setting(
        10, kinds.number(0, 50, whole=True), "how long before its slot a task is claimed"
    )
    settle_rows_max: int = _setting(
        500, kinds.number(1, 10_000, whole=True), "outcomes written in one transaction"
    )
    settle_queue_max: int = _setting(
        1_000, kinds.number(1, 1_000_000, whole=True), "outcomes kept before claiming slows down"
    )
    warm_raise_s: float = _setting(
        10.0,
        kinds.number(0, 3_600),
        "how long a raise to a priority of 0.4 or more waits for others",
    )
    cold_raise_s: float = _setting(
        60.0, kinds.number(0, 3_600), "how long a raise to a lower priority waits for others"
    )
    raises_max: int = _setting(
        50_000,
        kinds.number(1, 10_000_000, whole=True),
        "raises kept before they are written at once",
    )
    grace_s: float = _setting(
        10.0, kinds.number(0, 3_600), "how long a drain lets running tasks finish"
    )
    user_agent: str = _setting(
        USER_AGENT,
        kinds.text(r"[A-Za-z_-][ -~]{0,255}", "printable ASCII that begins with a product name"),
        "what sites are told, and looked up in robots.txt",
    )
    allow_network: tuple[str, ...] = _setting(
        (), kinds.networks(), "private or loopback networks that may be requested"
    )
    proxy: str | None = _setting(
        None,
        kinds.proxy(),
        "HTTP proxy for all requests to sites; it resolves their names, see Sites",
    )
    connect_timeout_s: float = _setting(
        10.0, kinds.number(0.1, 600), "most time to resolve a site's name and connect, TLS included"
    )
    first_byte_timeout_s: float = _setting(
        20.0, kinds.number(0.1, 600), "most time from a request to the end of its answer's headers"
    )
    fetch_timeout_s: float = _setting(
        60.0, kinds.number(0.1, 3_600), "most time from a request to the last byte of its answer"
    )
    body_bytes_max: int = _setting(
        10_485_760,
        kinds.number(1_024, 1_073_741_824, whole=True),
        "a page's body is cut after so many bytes",
    )
    http_host: str = _setting(
        "127.0.0.1",
        kinds.address(),
        "where the HTTP server of `run` listens; beyond loopback a token",
    )
    http_port: int | None = _setting(
        None,
        kinds.number(0, 65_535, whole=True),
        "its port; 0: no HTTP server; without one, the first free from 8470 to 8489",
    )
    http_token: str | None = _setting(
        None, kinds.secret(16, 256), "what its users must know, or send as a bearer token"
    )
    log_level: str = _setting(
        "info",
        kinds.choice("debug", "info", "warning", "error"),
        "least level logged; commands other than run and db: warning",
    )
    log_format: str = _setting(
        "auto", kinds.choice("auto", "human", "json"), "auto: human on a terminal"
    )

    @classmethod
    def load(
        cls,
        env: Mapping[str, str],
        toml_path: Path | None,
        flags: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
    ) -> Config:
        """Return the settings of all layers.

        `env` is all of the environment. `toml_path` (the flag) wins over PACEWHEEL_CONFIG. `flags`
        maps field names to values, None meaning not given. `defaults` replaces defaults of the
        fields.

        Raises:
            ConfigInvalid: a key is unknown, a value can't be accepted, or the file can't be read.
        """
        values = dict(defaults or {})
        values.update(_from_env(env))
        if toml_path is None and env.get(CONFIG_FILE_VARIABLE):
            toml_path = Path(env[CONFIG_FILE_VARIABLE])
        if toml_path is not None:
            values.update(_from_toml(toml_path))
        values.update(_from_flags(flags))
        return cls(**values)

    def __post_init__(self) -> None:
        """Check every value, and the values against each other."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not each.default:
                object.__setattr__(self, each.name, _read(each, value, f"Config({each.name}=...)"))
        if self.heartbeat_s >= self.lease_ttl_s / 3:
            raise ConfigInvalid(
                f"heartbeat_s={self.heartbeat_s:g} must be less than a third of "
                f"lease_ttl_s={self.lease_ttl_s:g}; give both, such as 2.5 and 10"
            )
        if self.lease_margin_s + self.heartbeat_s >= self.lease_ttl_s:
            raise ConfigInvalid(
                f"lease_margin_s={self.lease_margin_s:g} and heartbeat_s={self.heartbeat_s:g} together "
                f"must be less than lease_ttl_s={self.lease_ttl_s:g}; lower one of them"
            )
        if self.warm_raise_s > self.cold_raise_s:
            raise ConfigInvalid(
                f"warm_raise_s={self.warm_raise_s:g} must not be more than "
                f"cold_raise_s={self.cold_raise_s:g}; give both, such as 10 and 60"
            )
        if self.direct_dsn is not None and not self.pooler:
            raise ConfigInvalid("direct_dsn is for a dsn that leads to a pooler; set pooler=true")
        if not (ip_address(self.http_host).is_loopback or self.http_token or self.http_port == 0):
            raise ConfigInvalid(
                f"http_host={self.http_host} lets others reach the dashboard; set http_token too, or "
                "keep 127.0.0.1"
            )

    def __repr__(self) -> str:
        """Every setting, the passwords of DSNs left out."""
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return redact(f"Config({', '.join(shown)})")


def settings() -> dict[str, Field[Any]]:
    """Return the fields of `Config` by name; `metadata` holds `kind` (a Kind) and `help` (a text)."""
    return {each.name: each for each in fields(Config)}


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    known = {ENV_PREFIX + name.upper(): each for name, each in settings().items()}
    values = {}
    for variable, raw in env.items():
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_FILE_VARIABLE:
            continue
        if variable not in known:
            _refuse_unknown("environment variable", variable, [*known, CONFIG_FILE_VARIABLE])
        values[known[variable].name] = _read(known[variable], raw, variable, is_text=True)
    return values


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.expanduser().read_text("utf-8"))
    except OSError as error:
        raise ConfigInvalid(
            f"config file {path} can't be read ({error.strerror}); give another --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")
        raise ConfigInvalid(f"config file {path} is not TOML ({reason}); correct it") from error
    known = settings()
    for key in content:
        if key not in known:
            _refuse_unknown(f"key in {path}:", key, known)
    return {key: _read(known[key], raw, str(path)) for key, raw in content.items()}


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    known = settings()
    for name in flags:
        if name not in known:
            _refuse_unknown("option", name, known)
    given = {name: raw for name, raw in flags.items() if raw is not None}
    return {
        name: _read(known[name], raw, flag_name(name), is_text=isinstance(raw, str))
        for name, raw in given.items()
    }


def flag_name(name: str) -> str:
    """Return the command-line option of a field, such as `--lease-ttl-s`."""
    return "--" + name.replace("_", "-")


def _read(setting: Field[Any], raw: Any, source: str, *, is_text: bool = False) -> Any:
    kind: Kind = setting.metadata["kind"]
    try:
        return kind.check(kind.parse(raw) if is_text else raw)
    except (ValueError, TypeError, OverflowError):
        shown = "***" if kind.is_secret else redact(repr(raw))
        if len(shown) > _SHOWN_CHARACTERS_MAX:
            shown = shown[:_SHOWN_CHARACTERS_MAX] + "..."
        raise ConfigInvalid(
            f"{setting.name}={shown} from {source} is refused; give {kind.expected}"
        ) from None


def _refuse_unknown(noun: str, key: str, known: Mapping[str, Any] | list[str]) -> None:
    # The prefix that all variables share would make any two of them alike.
    by_stem = {name.removeprefix(ENV_PREFIX): name for name in known}
    near = difflib.get_close_matches(key.removeprefix(ENV_PREFIX), by_stem, n=1, cutoff=0.5)
    hint = f"the nearest known is {by_stem[near[0]]}" if near else "see the table in README.md"
    raise ConfigInvalid(f"unknown {noun} {key}; {hint}")
