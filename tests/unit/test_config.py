"""Configuration: every layer is strict, later layers win, and no password is ever shown."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel.config import Config, settings
from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping


def load(
    env: Mapping[str, str] | None = None,
    toml: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    **defaults: Any,
) -> Config:
    """Load with the layers that a test names."""
    return Config.load(env or {}, toml, flags or {}, defaults=defaults)


def write(directory: Path, text: str) -> Path:
    """Write a TOML file."""
    file = directory / "pacewheel.toml"
    file.write_text(text)
    return file


def refusal(**layers: Any) -> str:
    """The one line with which these layers are refused."""
    with pytest.raises(ConfigInvalid) as refused:
        load(**layers)
    line = str(refused.value)
    assert "\n" not in line
    assert 2 == refused.value.exit_code
    return line


def test_defaults() -> None:
    """Without any layer every field has its documented default."""
    config = load()
    assert config == Config()
    assert ("pacewheel", 64, 70) == (config.schema, config.capacity, config.pool_max)
    assert (10.0, 2.5, 2.0) == (config.lease_ttl_s, config.heartbeat_s, config.lease_margin_s)
    assert config.dsn is None
    assert not config.pooler


def test_later_layers_win(tmp_path: Path) -> None:
    """Defaults, environment, TOML, flags: each wins over those before it, field by field."""
    file = write(tmp_path, "capacity = 3\nsweep_s = 3\n")
    env = {f"PACEWHEEL_{name}": "2" for name in ("CAPACITY", "SWEEP_S", "DOMAINS_MAX")}
    config = load(env, file, {"capacity": "4", "lead_ms": None}, capacity=1, lead_ms=1)
    assert (4, 3.0, 2, 1) == (
        config.capacity,
        config.sweep_s,
        config.domains_max,
        config.lead_ms,
    )


def test_the_file_is_named_by_the_environment_unless_a_flag_names_it(tmp_path: Path) -> None:
    """PACEWHEEL_CONFIG names a file; `--config` wins over it."""
    file = write(tmp_path, "capacity = 3\n")
    (tmp_path / "other.toml").write_text("capacity = 5\n")
    env = {"PACEWHEEL_CONFIG": str(file)}
    assert 3 == load(env).capacity
    assert 5 == load(env, tmp_path / "other.toml").capacity


def test_other_variables_are_left_alone() -> None:
    """Only names with our prefix are ours."""
    assert load({"PATH": "/bin", "PGHOST": "x", "PACE": "1"}) == Config()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("CAPACITY", "64x", "whole number from 1 to 10000"),
        ("CAPACITY", "0", "whole number from 1 to 10000"),
        ("CAPACITY", "10001", "whole number from 1 to 10000"),
        ("CAPACITY", "1_000", "whole number"),
        ("CAPACITY", "6.5", "whole number"),
        ("CAPACITY", "", "whole number"),
        ("CAPACITY", "9" * 5000, "whole number"),
        ("LEASE_TTL_S", "0.10s", "number from 1 to 3600"),
        ("LEASE_TTL_S", "nan", "number from 1 to 3600"),
        ("LEASE_TTL_S", "inf", "number from 1 to 3600"),
        ("LEAD_MS", "51", "from 0 to 50"),
        ("POOLER", "maybe", "true or false"),
        ("POOLER", "", "true or false"),
        ("SCHEMA", "Public", "lower-case letters"),
        ("SCHEMA", "a;drop", "lower-case letters"),
        ("SCHEMA", "x" * 41, "1 to 40"),
        ("SCHEMA", "pacewheel\n", "lower-case letters"),
        ("DSN", "host=db user=me", "postgresql://"),
        ("DSN", "mysql://h/db", "postgresql://"),
        ("DSN", "postgresql://h:port/db", "postgresql://"),
        ("DSN", "postgresql://[::1/db", "postgresql://"),
        ("DATA_DIR", "", "a directory"),
        ("USER_AGENT", "bot\r\nHost: x", "printable ASCII"),
        ("USER_AGENT", "1bot", "begins with a product name"),
        ("ALLOW_NETWORK", "10.0.0.1/8", "10.0.0.0/8"),
        ("ALLOW_NETWORK", "10.0.0.0/8,", "networks"),
        ("ALLOW_NETWORK", "localhost", "networks"),
        ("LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "one of auto, human, json"),
    ],
)
def test_a_value_that_is_not_right_is_refused(variable: str, text: str, expected: str) -> None:
    """The line names key, value, source and what is expected, whatever layer it came from."""
    name = variable.lower()
    from_env = refusal(env={f"PACEWHEEL_{variable}": text})
    assert f"{name}=" in from_env
    assert f"from PACEWHEEL_{variable}" in from_env
    assert expected in from_env
    assert len(from_env) < 300
    flag = "--" + name.replace("_", "-")
    assert f"from {flag} " in refusal(flags={name: text})


@pytest.mark.parametrize(
    "line",
    [
        'capacity = "64"',
        "capacity = 6.0",
        "capacity = true",
        "pooler = 1",
        'pooler = "true"',
        "lease_ttl_s = '10'",
        "lease_ttl_s = nan",
        "schema = 1",
        "allow_network = '10.0.0.0/8'",
        "allow_network = [10]",
        "log_level = ['info']",
        "dsn = []",
        "capacity = {a = 1}",
    ],
)
def test_toml_has_types_and_they_count(tmp_path: Path, line: str) -> None:
    """A text is no number and a number no switch; the line names the file."""
    file = write(tmp_path, line)
    assert f"from {file}" in refusal(toml=file)


def test_unknown_keys_are_refused_with_the_nearest_known(tmp_path: Path) -> None:
    """In the environment, in the file (tables too) and among flags."""
    line = refusal(env={"PACEWHEEL_CAPACTY": "1"})
    assert "PACEWHEEL_CAPACTY" in line
    assert line.endswith("the nearest known is PACEWHEEL_CAPACITY")
    assert "lease_ttl_s" in refusal(toml=write(tmp_path, "lease_ttl = 10\n"))
    assert "pacewheel" in refusal(toml=write(tmp_path, "[pacewheel]\ncapacity = 1\n"))
    assert "capacity" in refusal(flags={"capacities": "1"})
    assert "README" in refusal(env={"PACEWHEEL_ZZZZZZZZZZZZ": "1"})


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """Missing, a directory, not TOML, not UTF-8."""
    assert "can't be read" in refusal(toml=tmp_path / "missing.toml")
    assert "can't be read" in refusal(toml=tmp_path)
    assert "is not TOML" in refusal(toml=write(tmp_path, "capacity 3\n[["))
    file = tmp_path / "bytes.toml"
    file.write_bytes(b"\xff\xfe")
    assert "is not TOML" in refusal(toml=file)


def test_values_that_contradict_each_other_are_refused() -> None:
    """The heartbeat must come often enough, and the margin leave time to work."""
    assert "a third of lease_ttl_s=3" in refusal(env={"PACEWHEEL_LEASE_TTL_S": "3"})
    assert "lease_margin_s=8" in refusal(flags={"lease_margin_s": "8"})


def test_values_arrive_in_their_final_form() -> None:
    """Directories are expanded, networks are canonical, durations are floats."""
    config = load(
        {"PACEWHEEL_ALLOW_NETWORK": "127.0.0.1, fd00::/8", "PACEWHEEL_POOLER": "yes"},
        flags={"data_dir": "~/data", "sweep_s": 7},
    )
    assert ("127.0.0.1/32", "fd00::/8") == config.allow_network
    assert Path.home() / "data" == config.data_dir
    assert config.pooler is True
    assert isinstance(config.sweep_s, float)
    assert ("10.0.0.0/8",) == load(flags={"allow_network": ["10.0.0.0/8"]}).allow_network


def test_a_config_built_by_hand_is_checked_and_frozen() -> None:
    """However it is built, it holds only what may be used."""
    with pytest.raises(ConfigInvalid, match="capacity"):
        Config(capacity=0)
    with pytest.raises(ConfigInvalid, match="schema"):
        Config(schema='x"; DROP')
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.capacity = 3  # type: ignore[misc]  # that it is refused is what is tested


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:sesame@h:5432/db",
        "postgres://me:s@sesame@h/db",
        "postgresql://h/db?user=me&password=sesame",
        "postgresql://h/db?sslpassword=sesame&user=me",
    ],
)
def test_no_password_is_shown(dsn: str) -> None:
    """Neither by `repr` nor by the refusal of another value of the same config."""
    config = load({"PACEWHEEL_DSN": dsn})
    assert dsn == config.dsn
    assert "ame" not in repr(config).replace("schema", "").replace("name", "")
    assert "***" in repr(config)
    assert "ame" not in refusal(env={"PACEWHEEL_DSN": "mysql" + dsn}).replace("database", "")


@pytest.mark.parametrize(
    "proxy",
    [
        "https://proxy.example:3128",
        "socks5://proxy.example:1080",
        "proxy.example:3128",
        "http://proxy.example",
        "http://:3128",
        "http://proxy.example:3128/path",
        "http://proxy.example:3128?a",
        "http://s3cret@proxy.example:3128",
        "http://user:s3cret/x@proxy.example:3128",
        "http://user:s3cret@proxy.example:99999",
    ],
)
def test_a_proxy_is_a_whole_url_and_a_refused_one_is_not_shown(proxy: str) -> None:
    """Its password may stand anywhere in what is no URL."""
    line = refusal(env={"PACEWHEEL_PROXY": proxy})
    assert "s3cret" not in line
    assert "PACEWHEEL_PROXY" in line
    taken = load({"PACEWHEEL_PROXY": "http://user:s3cret@proxy.example:3128"})
    assert "http://user:s3cret@proxy.example:3128" == taken.proxy
    assert "s3cret" not in repr(taken)


def test_every_setting_has_help_and_a_kind() -> None:
    """What the command line and the README's table are made from is complete."""
    for name, setting in settings().items():
        assert setting.metadata["help"], name
        assert setting.metadata["kind"].expected, name
    assert {each.name for each in fields(Config)} == set(settings())


def test_the_readme_lists_every_setting_and_its_default() -> None:
    """The table of README.md is the table of the code."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name, setting in settings().items():
        default = setting.default
        shown = "" if default in (None, ()) else str(default).lower()
        if isinstance(default, str):
            shown = default
        shown = shown.removesuffix(".0")
        cell = f"`{shown}`" if shown else "-"
        assert f"| `{name}` | {cell} | {setting.metadata['help']} |" in readme, name
