# SPDX-License-Identifier: Apache-2.0
"""settings - writes the daemon's configuration file for a simulated farm.

settings() gives a plain dict in the file's own words; a test changes what it is about and calls write().
"""

import copy
from decimal import Decimal

import yaml


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, and decimals as they are written (0.1)."""

    def ignore_aliases(self, data):
        return True


_Dumper.add_representer(Decimal, lambda dumper, d: dumper.represent_scalar("tag:yaml.org,2002:float", str(d)))


def write(path, value):
    """Writes a configuration or a profile."""
    with open(path, "w", encoding="utf-8") as file:
        yaml.dump(value, file, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def bus(farm, name, **more):
    entry = {"name": name, "protocol": farm.protocols[name], **farm.buses[name].place()}
    if farm.protocols[name] == "rtu":
        entry["baud"] = 115200
    return {**entry, "timeout": "1s", **more}


def device(farm, name, every, **more):
    """The points come from the simulator's model, unless `profile` is among `more`."""
    slave = farm.devices[name]
    entry = {"name": name, "bus": slave.bus, "unit": slave.unit, "every": every, **more}
    if "profile" not in entry:
        entry["points"] = [field.as_point() for field in slave.model.fields]
    return entry


def uplink(url, name="province", **more):
    return {"name": name, "url": url, "topic": "fieldgate/v1/{gateway}", "keepalive": "10s", **more}


def settings(farm, store_path, uplinks, every="500ms", gateway="test-gw", devices=None):
    """A configuration for everything on the farm, or for the named devices."""
    names = list(farm.devices) if devices is None else devices
    return copy.deepcopy({
        "gateway": {"id": gateway},
        "store": {"path": store_path, "commit_every": "200ms"},
        "clock": {"trust": "always"},
        "buses": [bus(farm, name) for name in farm.buses],
        "devices": [device(farm, name, every) for name in names],
        "uplinks": uplinks,
    })


def profile(model, name=None, **replaced):
    """A profile file's content from a simulator's model. replaced: {point: {key: value}}."""
    points = [{**field.as_point(), **replaced.get(field.name, {})} for field in model.fields]
    return {"profile": name or model.name, "title": model.title, "manufacturer": "test", "source": model.source,
            "maturity": "manual", "points": points}
